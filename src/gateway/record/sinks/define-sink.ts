import type { z } from 'zod'
import type { Preparation, Settings } from '../../../core/settings.ts'
import { type CommonConfig, commonFields, prepareCommon } from './common-fields.ts'
import { guardSink } from './guard-sink.ts'
import type { BareSink, Sink } from './sink.ts'

/** Opens the sink. */
export interface SinkFactory<T extends BareSink = Sink> {
  (): T
  /** Where its lines can be read again without it: the file as it is configured; only for sinks that write one. */
  readonly log?: string
}

/** One kind of sink, its configuration type erased so that all kinds fit one table. */
export interface SinkKind {
  readonly type: string
  readonly config: (settings: Settings) => z.ZodObject
  /** Checks and reports; the factory opens the sink, and throws `SinkStartError` when that is impossible. */
  readonly prepare: (name: string, config: unknown, preparation: Preparation) => SinkFactory
}

/**
 * Declares a kind of sink. Every kind also gets `required`, `filter`, `shape`, `redact` and `redactKey`, and its counts.
 *
 * Does not check that `prepare` is given what `config` parsed: that is the caller's part.
 */
export const defineSink = <Schema extends z.ZodObject>(definition: {
  readonly type: string
  readonly config: (settings: Settings) => Schema
  readonly prepare: (
    name: string,
    config: z.output<Schema> & CommonConfig,
    preparation: Preparation,
  ) => SinkFactory<BareSink>
}): SinkKind => ({
  type: definition.type,
  config: (s) => definition.config(s).extend(commonFields(s)),
  prepare: (name, config, preparation) => {
    // The one cast: the table of kinds cannot know the type that belongs to each `type` literal.
    const parsed = config as z.output<Schema> & CommonConfig
    const common = prepareCommon(parsed, preparation)
    const open = definition.prepare(name, parsed, preparation)
    const isReadable = open.log !== undefined && common.reshape === null
    return Object.assign(() => guardSink(open(), common), isReadable ? { log: open.log } : {})
  },
})
