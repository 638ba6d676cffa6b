import type { z } from 'zod'
import type { AccessRequest } from '../../../core/access-request.ts'
import type { EvaluationResult } from '../../../core/decision.ts'
import type { JsonObject } from '../../../core/json.ts'
import type { Refusal } from '../../../core/refusals.ts'
import type { Preparation, Settings } from '../../../core/settings.ts'

/** What an engine says to one access request. */
export interface EngineAnswer extends EvaluationResult {
  /** How long the answer may be kept at most; absent: as long as the route says. */
  readonly ttlMs?: number
  /** What must be done for an allow to be one. */
  readonly obligations?: readonly JsonObject[]
  /** False when the answer must not be kept; default true. */
  readonly cacheable?: boolean
}

/** One answer a request, in their order; or `engine_unavailable` for all of them. */
export type EngineAnswers = readonly EngineAnswer[] | Refusal

/** A policy decision point. */
export interface Engine {
  readonly name: string
  readonly type: string
  /**
   * Changes whenever the same access request could be answered otherwise: grants are bound to it.
   * Two configurations of one engine that may differ in their answers never share a version.
   */
  readonly policyVersion: () => string
  /**
   * Answers at once when it can, so that the hot path needs no promise.
   *
   * @param signal aborted when nobody waits any more or the deadline has passed; made on first use.
   * @returns a refusal when no decision could be had. Never throws for that.
   */
  readonly evaluate: (
    requests: readonly AccessRequest[],
    signal: () => AbortSignal,
  ) => EngineAnswers | Promise<EngineAnswers>
  /** How long an answer may take; only for engines that do not answer at once. */
  readonly timeoutMs?: number
  readonly close?: () => void | Promise<void>
}

/** One kind of engine, its configuration type erased so that all kinds fit one table. */
export interface EngineKind<Schema extends z.ZodObject = z.ZodObject> {
  readonly type: string
  readonly config: (settings: Settings) => Schema
  /** Reads files, checks and reports. The factory must not be called when something was reported. */
  readonly prepare: (name: string, config: unknown, preparation: Preparation) => () => Engine
}

/**
 * Declares a kind of engine.
 *
 * Does not check that `prepare` is given what `config` parsed: that is the caller's part.
 */
export const defineEngine = <Schema extends z.ZodObject>(definition: {
  readonly type: string
  readonly config: (settings: Settings) => Schema
  readonly prepare: (name: string, config: z.output<Schema>, preparation: Preparation) => () => Engine
}): EngineKind<Schema> => ({
  ...definition,
  // The one cast: the table of kinds cannot know the type that belongs to each `type` literal.
  prepare: (name, config, preparation) => definition.prepare(name, config as z.output<Schema>, preparation),
})
