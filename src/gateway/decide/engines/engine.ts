import type { z } from 'zod'
import type { AccessRequest } from '../../../core/access-request.ts'
import type { EvaluationResult } from '../../../core/decision.ts'
import type { JsonObject } from '../../../core/json.ts'
import type { NearPolicy, PolicySource } from '../../../core/policy-source.ts'
import type { ReviewedQuestion, ReviewNote } from '../../../core/question-outline.ts'
import type { Refusal } from '../../../core/refusals.ts'
import type { CanonicalRequest } from '../../../core/request.ts'
import type { Preparation, Settings } from '../../../core/settings.ts'

/** What an engine says to one access request. */
export interface EngineAnswer extends EvaluationResult {
  /** How long the answer may be kept at most; absent: as long as the route says. */
  readonly ttlMs?: number
  /** What must be done for an allow to be one. */
  readonly obligations?: readonly JsonObject[]
  /** False when the answer must not be kept; default true. */
  readonly cacheable?: boolean
  /** Of the policies that gave this answer, where they may have changed meanwhile; default the engine's. */
  readonly policyVersion?: string
}

/** The request itself, for engines that look at more than what was mapped of it. */
export interface HttpQuestion {
  readonly request: CanonicalRequest
  /** The very bytes, when the mapping read the body. */
  readonly body: Buffer | null
}

/** What is known of an engine at the other end of a connection. */
export interface EngineStatus {
  /** Whether it answered when it was last asked; null: it was not asked yet. */
  readonly reachable: boolean | null
  /** Why it is not reachable, for operators. */
  readonly failure: string | null
  /** True while requests are refused without asking it. */
  readonly breakerOpen: boolean
  /** Since it was made. */
  readonly answers: number
  readonly failures: number
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
  /** What tells configurations apart that may answer differently by one `policyVersion`; part of grant keys. */
  readonly configuration?: string
  /** True: it is given the request too, and since that is never the same twice its answers are not kept. */
  readonly readsHttp?: boolean
  /**
   * Answers at once when it can, so that the hot path needs no promise.
   *
   * @param signal aborted when nobody waits any more or the deadline has passed; made on first use.
   * @returns a refusal when no decision could be had. Never throws for that.
   */
  readonly evaluate: (
    requests: readonly AccessRequest[],
    signal: () => AbortSignal,
    http?: HttpQuestion,
  ) => EngineAnswers | Promise<EngineAnswers>
  /** Ids of all policies that it has; only for engines that hold them. */
  readonly policyIds?: readonly string[]
  /** A hash of what each policy says, by its id, however it is written; only for engines that hold them. */
  readonly policyHashes?: () => ReadonlyMap<string, string>
  /** How long an answer may take; only for engines that do not answer at once. */
  readonly timeoutMs?: number
  /** Not there for an engine in this process, which is always reachable. */
  readonly status?: () => EngineStatus
  /** The policies of these ids as they are written; only where the engine has them. */
  readonly policies?: (ids: readonly string[]) => readonly PolicySource[]
  /** What would have allowed a request that no policy allowed; only where the engine can tell. Slow. */
  readonly nearPolicies?: (request: AccessRequest) => readonly NearPolicy[]
  readonly close?: () => void | Promise<void>
}

/** Makes the engine; nothing is opened or fetched before. */
export interface EngineFactory {
  (): Engine
  /** What a reviewer should see in the policies, when these are all the questions; only where the engine can tell. */
  readonly review?: (questions: readonly ReviewedQuestion[]) => readonly ReviewNote[]
}

/** One kind of engine, its configuration type erased so that all kinds fit one table. */
export interface EngineKind<Schema extends z.ZodObject = z.ZodObject> {
  readonly type: string
  readonly config: (settings: Settings) => Schema
  /**
   * Reads files, checks and reports. The factory must not be called when something was reported.
   *
   * A promise where that takes long: requests are served meanwhile. It rejects with the reason of `whileWanted`.
   */
  readonly prepare: (
    name: string,
    config: unknown,
    preparation: Preparation,
  ) => EngineFactory | Promise<EngineFactory>
}

/**
 * Declares a kind of engine.
 *
 * Does not check that `prepare` is given what `config` parsed: that is the caller's part.
 */
export const defineEngine = <Schema extends z.ZodObject>(definition: {
  readonly type: string
  readonly config: (settings: Settings) => Schema
  readonly prepare: (
    name: string,
    config: z.output<Schema>,
    preparation: Preparation,
  ) => EngineFactory | Promise<EngineFactory>
}): EngineKind<Schema> => ({
  ...definition,
  // The one cast: the table of kinds cannot know the type that belongs to each `type` literal.
  prepare: (name, config, preparation) => definition.prepare(name, config as z.output<Schema>, preparation),
})
