import { builtInRoute, type Route } from '../../core/route.ts'

/** Where the keys of assertions are, on every host. */
export const JWKS_PATH = '/.well-known/sallyport/jwks.json'

/** Answers `JWKS_PATH`. */
export const JWKS_ROUTE: Route = builtInRoute('sallyport-jwks')

/** The route that answers preflights for another one; there is no upstream behind it. */
export const preflightRoute = ({ name, owner, cors }: Route): Route => ({
  ...JWKS_ROUTE,
  name,
  owner,
  ...(cors === undefined ? {} : { cors }),
})

/**
 * The route of what no route is for, where callers must be known before they are told so.
 *
 * @param authenticate names of authenticators.
 */
export const unmatchedRoute = (authenticate: readonly string[]): Route => ({
  ...JWKS_ROUTE,
  name: '',
  owner: '',
  access: 'protected',
  authenticate,
})

const RESERVED = ['/.sallyport', '/.well-known/sallyport'] as const

/** True for what no route can have, in any spelling of its letters. */
export const isReservedPath = (path: string): boolean => {
  // Nearly every path ends here.
  if (path.charCodeAt(1) !== 0x2e) return false
  const folded = path.toLowerCase()
  return RESERVED.some((prefix) => folded === prefix || folded.startsWith(`${prefix}/`))
}
