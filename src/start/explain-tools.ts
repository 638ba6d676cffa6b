import type { Configuration } from '../config/configuration.ts'
import { createPeerTrust } from '../gateway/accept/client-address.ts'
import { considerRoutes } from '../gateway/accept/consider-routes.ts'
import { postureNames } from '../gateway/accept/posture.ts'
import { evaluatedExpressions } from '../gateway/bind/evaluated.ts'
import type { Engine } from '../gateway/decide/engines/engine.ts'
import type { ExplainTools } from '../gateway/explain.ts'
import type { PastTools } from '../gateway/explain-record.ts'

/** What explanations look at of a configuration that serves. */
export const explainTools = (
  { table, routes, version, listeners }: Configuration,
  engines: ReadonlyMap<string, Engine>,
  grant: ExplainTools['grant'],
): ExplainTools & PastTools => ({
  configVersion: version,
  posture: postureNames(listeners),
  policyVersion: (engine) => engines.get(engine)?.policyVersion() ?? null,
  consider: (request) => considerRoutes(table, request),
  evaluated: ({ index }, bound) => {
    const plan = routes[index]?.plan
    return plan === undefined ? [] : evaluatedExpressions(plan, bound)
  },
  grant,
  policies: (engine, ids) => engines.get(engine)?.policies?.(ids) ?? [],
  near: (engine, request) => engines.get(engine)?.nearPolicies?.(request) ?? [],
})

/**
 * Makes the choice of the listener that a request is taken to come in by: the first one for requests that lists its
 * peer among its `trustedProxies`, else the first one.
 */
export const explainedListener = ({ listeners }: Configuration): ((ip: string) => string) => {
  const doors = listeners
    .filter(({ speaks }) => speaks === 'proxy')
    .map(({ id, trustedProxies }) => ({ id, trusts: createPeerTrust(trustedProxies).trusts }))
  return (remoteAddress) => {
    const chosen = doors.find(({ trusts }) => trusts({ remoteAddress })) ?? doors[0]
    return chosen?.id ?? ''
  }
}
