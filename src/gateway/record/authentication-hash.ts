import { canonicalHash } from '../../core/canonical-hash.ts'
import type { Route } from '../../core/route.ts'

type Asked = Pick<Route, 'authenticate' | 'require'>

const known = new WeakMap<Asked, string>()

/** The same for routes that ask the same of a credential. */
export const authenticationHash = (route: Asked): string => {
  const kept = known.get(route)
  if (kept !== undefined) return kept
  const { authenticate, require } = route
  const wanted = require === undefined ? {} : { ...require, claims: [...require.claims] }
  const made = canonicalHash([authenticate, wanted])
  known.set(route, made)
  return made
}
