import type { Carrier } from '../../core/carrier.ts'
import type { Clock } from '../../core/clock.ts'
import type { Dialect } from '../../core/dialect.ts'
import type { Log } from '../../core/log.ts'
import type { Stages } from '../pipeline.ts'
import { createAssertion } from './assertion.ts'
import type { AssertionSettings } from './assertion-key.ts'
import { createForward } from './forward.ts'
import { permit } from './permit.ts'
import { refuse, refuseForwardAuth } from './refuse.ts'
import { createHeaderChanges } from './told-headers.ts'
import type { Upstreams } from './upstreams.ts'

export interface EnforceOptions {
  /** Somebody else's to close: they outlive this stage. */
  readonly upstreams: Upstreams
  readonly assertion: AssertionSettings
  /** An application has said that the task of its request is done; left out: nobody is told. */
  readonly completeTask?: (id: string, upstream: string) => void
  /** The carriers of all configured authenticators; they do not reach an upstream that does not ask for them. */
  readonly carriers: readonly Carrier[]
  /** By the name of their authenticator, for upstreams that exchange the caller's token; default none can be. */
  readonly carriersByName?: ReadonlyMap<string, Carrier>
  /** Lower-case names of every field that any route sets. */
  readonly controlledHeaders: ReadonlySet<string>
  /** Lower-case names that a match or a mapping reads: `Connection` cannot remove them after the decision. */
  readonly decidedHeaders?: ReadonlySet<string>
  /** What listeners speak that do not speak `proxy`, by id. */
  readonly dialects?: ReadonlyMap<string, Dialect>
  readonly clock: Clock
  readonly log: Log
}

export type Enforce = Pick<Stages, 'forward' | 'refuse'>

/**
 * The last stage before the application: forwards what is allowed, refuses the rest.
 *
 * A proxy that only asks is told, and forwards by itself.
 */
export const createEnforce = (options: EnforceOptions): Enforce => {
  const { carriers, controlledHeaders, decidedHeaders = new Set<string>(), dialects, log } = options
  const assertion = createAssertion(options.assertion, options.clock)
  const forward = createForward({
    completeTask: options.completeTask ?? (() => undefined),
    upstreams: options.upstreams,
    assertion,
    carriersByName: options.carriersByName ?? new Map(),
    headerRules: { carriers, controlledHeaders, decidedHeaders },
    log,
  })
  if (dialects === undefined || dialects.size === 0) return { forward, refuse }
  const changes = createHeaderChanges(carriers, controlledHeaders)
  return {
    forward: async (passage) => {
      const { request, route, dialect } = passage.accepted
      if (dialect === undefined) return forward(passage)
      const recorded = passage.record.settle()
      if (recorded !== true) return recorded
      const forwardCredential = options.upstreams.get(route.upstream)?.config.forwardCredential === true
      return permit(passage, assertion.of(passage), (given) => changes(request, given, forwardCredential))
    },
    refuse: (exchange, refusal, decisionId) =>
      dialects.get(exchange.head.listener) === 'forward-auth'
        ? refuseForwardAuth(exchange, refusal, decisionId)
        : refuse(exchange, refusal, decisionId),
  }
}
