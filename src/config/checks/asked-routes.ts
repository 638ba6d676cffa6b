import { needsBody } from '../../gateway/bind/bind.ts'
import type { ConfiguredRoute } from '../configuration.ts'
import { inform, type Loading } from '../preparation.ts'
import type { GatewayFile } from '../read-gateway.ts'
import type { RouteDraft } from '../route-drafts.ts'

/**
 * Tells of routes that mean less where a proxy only asks, and forwards by itself: its questions come without a body,
 * and what it forwards is not rewritten. A mapping that reads the body is an error where no listener could serve it.
 */
export const tellAskedRoutes = (
  loading: Loading,
  { listeners }: GatewayFile,
  drafts: readonly RouteDraft[],
  routes: readonly ConfiguredRoute[],
): void => {
  const asking = listeners.filter(({ value }) => value.speaks !== 'proxy' && value.speaks !== 'authzen')
  // Of several, the one that means least.
  const first = asking.find(({ value }) => value.speaks === 'forward-auth') ?? asking[0]
  if (first === undefined) return
  const { speaks, bind } = first.value
  for (const { route, plan } of routes) {
    const draft = drafts[route.index]
    if (draft === undefined) continue
    const { part, entry, report } = draft
    const name = JSON.stringify(route.name)
    if (needsBody(plan) && speaks === 'forward-auth') {
      const what = `the mapping of the route ${name} reads the body, which a proxy does not send to ${speaks} on ${bind}`
      if (listeners.every(({ value }) => value.speaks === 'forward-auth')) {
        report({ path: [], rule: 'body-not-there', message: `${what}: every request would be refused` })
      } else inform(loading, part, { rule: 'body-not-there', message: `${what}: refused there` })
    }
    if (entry.rewrite !== undefined) {
      const message = `the rewrite of the route ${name} is not applied by a proxy that asks ${speaks} on ${bind}`
      inform(loading, part, { rule: 'rewrite-not-applied', message })
    }
  }
}
