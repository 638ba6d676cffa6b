import type { z } from 'zod'
import type { Preparation, Settings } from '../../../core/settings.ts'
import type { ChainEnd } from '../chain.ts'
import type { DecisionRecord } from '../decision-record.ts'

/** A record that a sink could not take; `failed` is for operators and holds nothing of the record. */
export interface SinkFailure {
  readonly failed: string
}

/** A place where records are kept. */
export interface Sink {
  /** The entry in the configuration, for messages. */
  readonly name: string
  /** True: a request whose record this sink did not take is refused. */
  readonly required: boolean
  /**
   * Keeps one record; it has left the process when this returns true.
   *
   * @param line the record as JSON on one line, without the newline. A sink may only add fields at its end.
   */
  readonly write: (line: string, record: DecisionRecord) => true | SinkFailure
  /** Releases what the sink holds. Nothing is written afterwards. */
  readonly close: () => void
  /** The ends of the chains that this sink writes; only for sinks that chain. */
  readonly heads?: () => readonly ChainEnd[]
}

/** A sink that cannot be opened: a mistake of the operator or of the machine, found before anything is served. */
export class SinkStartError extends Error {
  readonly code = 'ERR_AUDIT_SINK'
}

/** One kind of sink, its configuration type erased so that all kinds fit one table. */
export interface SinkKind<Schema extends z.ZodObject = z.ZodObject> {
  readonly type: string
  readonly config: (settings: Settings) => Schema
  /** Checks and reports; the factory opens the sink, and throws `SinkStartError` when that is impossible. */
  readonly prepare: (name: string, config: unknown, preparation: Preparation) => () => Sink
}

/**
 * Declares a kind of sink.
 *
 * Does not check that `prepare` is given what `config` parsed: that is the caller's part.
 */
export const defineSink = <Schema extends z.ZodObject>(definition: {
  readonly type: string
  readonly config: (settings: Settings) => Schema
  readonly prepare: (name: string, config: z.output<Schema>, preparation: Preparation) => () => Sink
}): SinkKind<Schema> => ({
  ...definition,
  // The one cast: the table of kinds cannot know the type that belongs to each `type` literal.
  prepare: (name, config, preparation) => definition.prepare(name, config as z.output<Schema>, preparation),
})
