import type { Bound } from '../../core/decision.ts'
import { type Refusal, refuse } from '../../core/refusals.ts'
import type { Accepted, CanonicalRequest } from '../../core/request.ts'

/** Fields by which applications take a request for another one; proxies that ask may add the latter two themselves. */
const METHOD_OVERRIDES = ['x-http-method', 'x-http-method-override', 'x-method-override']
const TARGET_OVERRIDES = ['x-original-url', 'x-rewrite-url']

/**
 * Finds in a request what would be removed if it were forwarded from here, and whoever forwards it may not remove: a
 * field that only routes may set, and that nothing overwrites this time; an assertion where none is given; a field
 * that tells applications another method or target than was decided about.
 *
 * @param controlledHeaders lower-case names of every field that any route sets.
 * Does not check: that the proxy copies what it is given.
 */
export const findForgery = (
  { request, route }: Accepted,
  bound: Bound,
  controlledHeaders: ReadonlySet<string>,
): Refusal | null => {
  const set = new Set(bound.headers.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase()))
  const vouched = route.access === 'protected' && route.mode === 'enforce'
  for (const [index, name] of request.names.entries()) {
    const value = request.headers[2 * index + 1] ?? ''
    if (controlledHeaders.has(name) && !set.has(name))
      return forgery(request, index, 'that is not for callers to set')
    if (name === 'sallyport-assertion' && !vouched)
      return forgery(request, index, 'that is not for callers to set')
    if (METHOD_OVERRIDES.includes(name) && value !== request.method)
      return forgery(request, index, 'that names another method')
    if (TARGET_OVERRIDES.includes(name) && !isTarget(request, value))
      return forgery(request, index, 'that names another target')
  }
  return null
}

const isTarget = ({ scheme, authority, originalTarget }: CanonicalRequest, value: string): boolean =>
  value === originalTarget || value === `${scheme}://${authority}${originalTarget}`

const forgery = ({ names }: CanonicalRequest, index: number, what: string): Refusal =>
  refuse('bind', 'bad_request', `the header ${names[index]} ${what}`, {
    publicDetail: `The request has the header ${names[index]}, ${what}.`,
  })
