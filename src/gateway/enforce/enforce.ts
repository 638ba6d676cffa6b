import type { Carrier } from '../../core/carrier.ts'
import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import type { Stages } from '../pipeline.ts'
import { createAssertion } from './assertion.ts'
import type { AssertionSettings } from './assertion-key.ts'
import { createForward } from './forward.ts'
import { refuse } from './refuse.ts'
import type { Upstreams } from './upstreams.ts'

export interface EnforceOptions {
  /** Somebody else's to close: they outlive this stage. */
  readonly upstreams: Upstreams
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

export type Enforce = Pick<Stages, 'forward' | 'refuse'>

/** The last stage before the application: forwards what is allowed, refuses the rest. */
export const createEnforce = (options: EnforceOptions): Enforce => {
  const { carriers, controlledHeaders, decidedHeaders = new Set<string>(), log } = options
  return {
    forward: createForward({
      upstreams: options.upstreams,
      assertion: createAssertion(options.assertion, options.clock),
      headerRules: { carriers, controlledHeaders, decidedHeaders },
      log,
    }),
    refuse,
  }
}
