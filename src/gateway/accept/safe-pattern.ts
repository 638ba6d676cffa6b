import { isSafePattern } from 'redos-detector'

/** A compiled pattern for one path segment, or why it cannot be used. */
export type PatternResult =
  | { readonly regexp: RegExp; readonly mistake?: undefined }
  | { readonly regexp?: undefined; readonly mistake: string }

// The check is bounded by steps, so that a busy machine gives the same answer; the time is a backstop.
const MAX_STEPS = 20_000
const TIMEOUT_MS = 2000

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
        mistake: `the regular expression ${JSON.stringify(pattern)} can take catastrophically long, expected one that can match a text in one way only`,
      }
}

const isBounded = (anchored: string, caseInsensitive: boolean): boolean => {
  const limits = { maxSteps: MAX_STEPS, timeout: TIMEOUT_MS, unicode: true, caseInsensitive }
  try {
    return isSafePattern(anchored, limits).safe
  } catch {
    // The checker does not understand everything that the engine does; what cannot be checked is not used.
    return false
  }
}
