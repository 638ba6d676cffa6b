import type { Carrier } from '../../core/carrier.ts'
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import type { Stages } from '../pipeline.ts'
import { createAssertion } from './assertion.ts'
import type { AssertionSettings } from './assertion-key.ts'
import type { UpstreamConfig } from './config.ts'
import { createForward } from './forward.ts'
import { refuse } from './refuse.ts'
import { createUpstreams } from './upstreams.ts'

export interface EnforceOptions {
  readonly upstreams: ReadonlyMap<string, UpstreamConfig>
  readonly assertion: AssertionSettings
  /** The carriers of all configured authenticators; they do not reach an upstream that does not ask for them. */
  readonly carriers: readonly Carrier[]
  /** Lower-case names of every field that any route sets. */
  readonly controlledHeaders: ReadonlySet<string>
  /** Lower-case names that a match or a mapping reads: `Connection` cannot remove them after the decision. */
  readonly decidedHeaders?: ReadonlySet<string>
  readonly clock: Clock
  readonly log: Log
}

export interface Enforce extends Pick<Stages, 'forward' | 'refuse'> {
  /** Waits for the requests under way; when the signal is aborted, cuts them. */
  readonly close: (signal?: AbortSignal) => Promise<void>
}

/** The last stage before the application: forwards what is allowed, refuses the rest. */
export const createEnforce = (options: EnforceOptions): Enforce => {
  const { carriers, controlledHeaders, decidedHeaders = new Set<string>(), log } = options
  const upstreams = createUpstreams(options.upstreams)
  return {
    forward: createForward({
      upstreams,
      assertion: createAssertion(options.assertion, options.clock),
      headerRules: { carriers, controlledHeaders, decidedHeaders },
      log,
    }),
    refuse,
    close: upstreams.close,
  }
}
