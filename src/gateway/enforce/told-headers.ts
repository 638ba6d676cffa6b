import type { Carrier } from '../../core/carrier.ts'
import { headerValues } from '../../core/headers.ts'
import type { CanonicalRequest } from '../../core/request.ts'
import { cutCookies } from './cookies.ts'
import { MISLEADING } from './request-headers.ts'

/** What a proxy that can be told so does to the headers of the request before it forwards it. */
export interface HeaderChanges {
  /** Flat name, value pairs. */
  readonly set: readonly string[]
  /** Lower-case names. */
  readonly remove: readonly string[]
}

/**
 * Makes the function that says which of a caller's headers a proxy must not forward: those that are removed when a
 * request is forwarded from here.
 *
 * @param controlledHeaders lower-case names of every field that any route sets.
 */
export const createHeaderChanges = (
  carriers: readonly Carrier[],
  controlledHeaders: ReadonlySet<string>,
): ((request: CanonicalRequest, given: readonly string[], forwardCredential: boolean) => HeaderChanges) => {
  const always = [...MISLEADING, ...controlledHeaders, 'sallyport-assertion', 'sallyport-task']
  const credentials = carriers.flatMap((carrier) => {
    if (carrier.kind === 'authorization') return ['authorization', 'dpop']
    return carrier.kind === 'header' ? [carrier.name.toLowerCase()] : []
  })
  const cookies = new Set(carriers.flatMap((carrier) => (carrier.kind === 'cookie' ? [carrier.name] : [])))
  return (request, given, forwardCredential) => {
    const set = new Set(given.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase()))
    const remove = new Set(forwardCredential ? always : [...always, ...credentials])
    for (const name of request.names) if (name.startsWith('sallyport-')) remove.add(name)
    // The gateway's own cookies are never the application's.
    const cookie = changedCookie(request, forwardCredential ? NONE : cookies)
    if (cookie === null) remove.add('cookie')
    return {
      set: typeof cookie === 'string' && !set.has('cookie') ? ['Cookie', cookie] : [],
      remove: [...remove].filter((name) => !set.has(name)),
    }
  }
}

const NONE: ReadonlySet<string> = new Set()
const UNCHANGED = Symbol('no cookie is to be removed')

/** Null when nothing remains. */
const changedCookie = (
  { headers }: CanonicalRequest,
  names: ReadonlySet<string>,
): string | null | typeof UNCHANGED => {
  const values = headerValues(headers, 'cookie')
  const whole = values.join('; ')
  if (values.length === 0) return UNCHANGED
  const cut = cutCookies(whole, names)
  return cut === whole && values.length === 1 ? UNCHANGED : cut
}
