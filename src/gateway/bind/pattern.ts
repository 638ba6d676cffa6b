import { isSafePattern } from 'redos-detector'

const MAX_KNOWN = 1000
const known = new Map<string, string | null>()

/**
 * What is wrong with a pattern that is searched for in text which a caller chose, or null.
 *
 * Patterns are ECMAScript's with the `u` flag. Refused is what could backtrack without bound, which an
 * unanchored repetition does too: it starts again at every character.
 */
export const patternProblem = (pattern: string): string | null => {
  const before = known.get(pattern)
  if (before !== undefined) return before
  const problem = findProblem(pattern)
  if (known.size >= MAX_KNOWN) known.clear()
  known.set(pattern, problem)
  return problem
}

const findProblem = (pattern: string): string | null => {
  try {
    new RegExp(pattern, 'u')
  } catch {
    return 'not a regular expression (ECMAScript, with the u flag)'
  }
  try {
    if (isSafePattern(pattern, { unicode: true }).safe) return null
  } catch {
    return 'cannot be shown not to backtrack without bound; write it more simply'
  }
  return 'can backtrack without bound; anchor it by ^ and repeat nothing that overlaps'
}
