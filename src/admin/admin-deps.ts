import type { AdminConfig, Configuration } from '../config/configuration.ts'
import type { Clock } from '../core/clock.ts'
import type { JsonObject } from '../core/json.ts'
import type { Log } from '../core/log.ts'
import type { Finding } from '../core/problem.ts'
import type { EngineStatus } from '../gateway/decide/engines/engine.ts'
import type { FindShared, Grant } from '../gateway/decide/grants/store.ts'
import type { RevocationFeed } from '../gateway/decide/revocations/feed.ts'
import type { Explanation } from '../gateway/explain.ts'
import type { PastExplanation } from '../gateway/explain-record.ts'
import type { AskedRequest } from '../gateway/explain-request.ts'
import type { Head } from '../gateway/record/heads.ts'
import type { DecisionArchive } from './decisions/decision-archive.ts'
import type { DecisionRing } from './decisions/decision-ring.ts'

/** What the admin port sees of the gateway: functions that read, and answer for what runs when they are called. */
export interface AdminDeps {
  /** Null: the configuration that runs has no admin port. */
  readonly settings: () => AdminConfig | null
  /** Why requests are not taken; empty when they are. */
  readonly unready: () => readonly string[]
  /** Of the configuration that runs. */
  readonly engines: () => readonly EngineState[]
  readonly configStatus: () => ConfigStatus
  readonly configuration: () => Configuration
  /** Takes a request the whole way, without recording it, forwarding it or keeping the answer. */
  readonly explain: (asked: AskedRequest) => Promise<Explanation>
  /** Explains a record of the decision log, as its reader may see it. */
  readonly explainPast: (record: JsonObject) => PastExplanation
  /** Decides the latest records of the decision log again. */
  readonly replay: (asked: AskedReplay, signal: AbortSignal) => Promise<JsonObject | RefusedReplay>
  readonly ring: DecisionRing
  readonly archive: DecisionArchive
  readonly heads: () => readonly Head[]
  readonly feed: RevocationFeed
  /** Live ones of this process. */
  readonly grants: () => readonly Grant[]
  /** Those that gateways share, also what a mark voids by now; null: nothing is shared. */
  readonly sharedGrants: () => FindShared | null
  readonly metrics: Exposition
  readonly clock: Clock
  readonly log: Log
}

/** A draft to decide recorded requests again by. */
export interface AskedReplay {
  /** What files hold in the draft, by their paths from the gateway file on; the others are as they run. */
  readonly files: Readonly<Record<string, string>>
  /** How many bytes of the log, from its end. */
  readonly bytes: number
}

/** Why a draft was not tried. */
export type RefusedReplay = { readonly refused: string } | { readonly findings: readonly Finding[] }

/** A policy engine as it is now. */
export interface EngineState {
  readonly name: string
  readonly type: string
  readonly policyVersion: string
  /** Null: it is in this process, and always reachable. */
  readonly status: EngineStatus | null
}

/** What runs, since when, and what was wrong with the last edit if it was not taken over. */
export interface ConfigStatus {
  readonly version: string
  /** RFC 3339. */
  readonly appliedAt: string
  readonly rejected: null | { readonly at: string; readonly findings: readonly Finding[] }
}

/** Metrics as text. */
export interface Exposition {
  readonly contentType: string
  readonly render: () => Promise<string>
}
