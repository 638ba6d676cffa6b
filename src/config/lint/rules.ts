import type { LintRule } from './lint-rule.ts'
import { splitDecision, uncacheableGrant, unsetHeader } from './rules/decisions.ts'
import {
  broadRoute,
  claimedTwice,
  publicOverProtected,
  publicWithoutHost,
  shadowedRoute,
  unreachableRoute,
} from './rules/reach.ts'
import { unusedAuthenticator, unusedEngine, unusedUpstream } from './rules/unused.ts'

/** Every rule of `sallyport check` about what is no mistake; a new one is one function, one line here and one page. */
export const LINT_RULES: readonly LintRule[] = [
  unreachableRoute,
  shadowedRoute,
  claimedTwice,
  publicOverProtected,
  publicWithoutHost,
  broadRoute,
  splitDecision,
  uncacheableGrant,
  unsetHeader,
  unusedAuthenticator,
  unusedEngine,
  unusedUpstream,
]
