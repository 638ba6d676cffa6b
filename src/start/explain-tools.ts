import type { Configuration } from '../config/configuration.ts'
import { considerRoutes } from '../gateway/accept/consider-routes.ts'
import { evaluatedExpressions } from '../gateway/bind/evaluated.ts'
import type { Engine } from '../gateway/decide/engines/engine.ts'
import type { ExplainTools } from '../gateway/explain.ts'
import type { PastTools } from '../gateway/explain-record.ts'

/** What explanations look at of a configuration that serves. */
export const explainTools = (
  { table, routes, version }: Configuration,
  engines: ReadonlyMap<string, Engine>,
  grant: ExplainTools['grant'],
): ExplainTools & PastTools => ({
  configVersion: version,
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
