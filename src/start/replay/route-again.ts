import type { Configuration } from '../../config/configuration.ts'
import { canonicalTarget, isNotCanonical, unmetNeed } from '../../core/canonical-target.ts'
import type { Route } from '../../core/route.ts'
import { isReservedPath } from '../../gateway/accept/builtin-route.ts'
import { isRedacted } from '../../gateway/bind/recorded-reads.ts'
import type { Recorded } from './recorded.ts'

/** What the draft makes of a recorded request's host, method and path. */
export type Routed =
  | { readonly route: Route; readonly path: Readonly<Record<string, string>> }
  | { readonly unmapped: true }
  /** Nothing in a route map can change what became of it. */
  | { readonly same: true }
  | { readonly untold: string }

const NO_OPT_INS = { allowEncodedSlash: false, allowPathParameters: false }
/** Refused for what its connection or its header block was. */
const BEFORE_ROUTES: ReadonlySet<string> = new Set(['headers_too_large', 'expectation_failed'])

/** Finds the routes of recorded requests in a draft. */
export const createRouteAgain = ({ table, routes }: Configuration): ((recorded: Recorded) => Routed) => {
  const hostsWithPort = routes.flatMap(({ host }) => (host !== undefined && /:\d+$/.test(host) ? [host] : []))
  const answersPreflights = routes.some(({ route }) => route.cors !== undefined)
  return (recorded) => {
    const { request, code, source } = recorded
    const { method, host, path } = request
    if (BEFORE_ROUTES.has(code)) return { same: true }
    if (isRedacted(path)) return { untold: 'the path: redacted' }
    if (isReservedPath(path)) return { same: true }
    const target = canonicalTarget(path)
    if (isNotCanonical(target)) {
      return code === 'bad_request' ? { same: true } : { untold: 'the recorded path is not canonical' }
    }
    if (method === '' || host === '') return { untold: 'method and host are not recorded' }
    if (method === 'OPTIONS' && answersPreflights) {
      return { untold: 'whether it was the preflight of a page is not recorded' }
    }
    if (hostsWithPort.some((pattern) => fitsWithoutPort(pattern, host))) {
      return { untold: 'the port that it came to is not recorded, and a route names one' }
    }
    const asked = { looked: false }
    const found = table.find(questionThatTells({ method, host, path, port: '80' }, asked))
    if (asked.looked) return { untold: 'a route looks at headers or the query, which are not recorded' }
    if (found !== null && 'ambiguous' in found) return { untold: found.ambiguous }
    const need = unmetNeed(target.needs, found?.optIns ?? NO_OPT_INS)
    if (need !== null) return code === 'bad_request' ? { same: true } : { untold: need }
    if (source === 'accept' && code !== 'no_route') {
      return { untold: 'it was refused before it had a route, for what is not recorded' }
    }
    if (found === null) return { unmapped: true }
    return { route: found.route, path: found.path }
  }
}

const fitsWithoutPort = (pattern: string, host: string): boolean => {
  const bare = pattern.replace(/:\d+$/, '').toLowerCase()
  return bare.startsWith('*.') ? host.endsWith(bare.slice(1)) : host === bare
}

/** A question by which it is seen whether a route has conditions on what no record holds. */
const questionThatTells = (
  known: { readonly method: string; readonly host: string; readonly path: string; readonly port: string },
  asked: { looked: boolean },
) => {
  const look = <T>(value: T): T => {
    asked.looked = true
    return value
  }
  return {
    ...known,
    get headers(): readonly string[] {
      return look([])
    },
    get names(): readonly string[] {
      return look([])
    },
    get query(): string {
      return look('')
    },
  }
}
