import { isSafePattern } from 'redos-detector'

/** A compiled pattern for one path segment, or why it cannot be used. */
export type PatternResult =
  | { readonly regexp: RegExp; readonly mistake?: undefined }
  | { readonly regexp?: undefined; readonly mistake: string }

// The check is bounded by steps, so that a busy machine gives the same answer; the time is a backstop.
const MAX_STEPS = 5000
const TIMEOUT_MS = 5000

/**
 * Makes the function that compiles patterns of path templates; each one is checked once.
 *
 * A pattern must fit the whole segment. One that can take more than linear time on some text is a mistake.
 */
export const createPatternCompiler = (): ((pattern: string, ignoreCase: boolean) => PatternResult) => {
  const known = new Map<string, PatternResult>()
  return (pattern, ignoreCase) => {
    const key = `${ignoreCase ? 'i' : '-'}${pattern}`
    const before = known.get(key)
    if (before !== undefined) return before
    const result = compile(pattern, ignoreCase)
    known.set(key, result)
    return result
  }
}

const compile = (pattern: string, ignoreCase: boolean): PatternResult => {
  const anchored = `^(?:${pattern})$`
  let regexp: RegExp
  try {
    // Alone first: a `)` too many must not close the group around it.
    new RegExp(pattern, 'u')
    regexp = new RegExp(anchored, ignoreCase ? 'iu' : 'u')
  } catch {
    return { mistake: `${JSON.stringify(pattern)} is not a regular expression` }
  }
  return isBounded(anchored, ignoreCase)
    ? { regexp }
    : {
        mistake: `the regular expression ${JSON.stringify(pattern)} can take catastrophically long, or cannot be checked for that; expected one that matches a text in one way only`,
      }
}

const isBounded = (anchored: string, ignoreCase: boolean): boolean => {
  if (!ignoreCase) return isSafe(anchored, { unicode: true })
  // The checker does not do both at once. Apart from these escapes, the letters that Unicode adds to a pattern
  // are in neither of its two views.
  if (/\\(?:[pP]|u\{)/.test(anchored)) return false
  return isSafe(anchored, { unicode: true }) && isSafe(anchored, { caseInsensitive: true })
}

const isSafe = (anchored: string, mode: { unicode?: boolean; caseInsensitive?: boolean }): boolean => {
  try {
    return isSafePattern(anchored, { maxSteps: MAX_STEPS, timeout: TIMEOUT_MS, ...mode }).safe
  } catch {
    // The checker does not understand everything that the engine does; what cannot be checked is not used.
    return false
  }
}
