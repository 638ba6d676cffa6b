import type { Finding } from '../core/problem.ts'
import type { Route } from '../core/route.ts'
import type { Secret } from '../core/secret.ts'
import type { LimitsConfig, ListenerConfig, MatchConfig, MatchFlags } from '../gateway/accept/config.ts'
import type { RouteTable } from '../gateway/accept/route-table.ts'
import type { TlsMaterial } from '../gateway/accept/tls.ts'
import type { Authenticator } from '../gateway/authenticate/authenticator.ts'
import type { ProtectedResourceConfig } from '../gateway/authenticate/resource-metadata.ts'
import type { Transmitter } from '../gateway/authenticate/signals/config.ts'
import type { MappingPlan } from '../gateway/bind/plan.ts'
import type { GrantsConfig, RouteGrantConfig } from '../gateway/decide/config.ts'
import type { Engine } from '../gateway/decide/engines/engine.ts'
import type { RedisSettings } from '../gateway/decide/redis/settings.ts'
import type { RevocationConfig } from '../gateway/decide/revocations/config.ts'
import type { AssertionSettings } from '../gateway/enforce/assertion-key.ts'
import type { AssertionConfig } from '../gateway/enforce/config.ts'
import type { OwnedUpstream } from '../gateway/enforce/upstreams.ts'
import type { RefusalRecordsConfig } from '../gateway/record/config.ts'
import type { SinkFactory } from '../gateway/record/sinks/define-sink.ts'
import type { Sink } from '../gateway/record/sinks/sink.ts'
import type { DecisionTest } from './decision-tests/read.ts'
import type { Sources } from './sources.ts'

export interface GatewayLimits extends LimitsConfig {
  readonly refusalRecords: RefusalRecordsConfig
}

/** A configuration in which nothing is wrong: every name resolved, every expression compiled. */
export interface Configuration {
  /** `sha256:` over the content of every file that was read. */
  readonly version: string
  readonly file: string
  /** Every file that was read, absolute, to be watched for edits. */
  readonly files: readonly string[]
  readonly listeners: readonly ConfiguredListener[]
  readonly admin: AdminConfig | null
  readonly limits: GatewayLimits
  readonly drainTimeoutMs: number
  /** Processes that serve, `auto` resolved. */
  readonly workers: number
  /** By name; nothing is opened or fetched before they are made. */
  readonly authenticators: ReadonlyMap<string, Prepared<Authenticator>>
  readonly engines: ReadonlyMap<string, Prepared<Engine>>
  /** The engine that is asked first whatever is asked, by whichever door; null: none. */
  readonly baseline: string | null
  /** Names of authenticators, one of which must know a caller before it is told `no_route`; null: none must. */
  readonly unmatched: readonly string[] | null
  readonly protectedResources: readonly ProtectedResourceConfig[]
  readonly upstreams: ReadonlyMap<string, Prepared<OwnedUpstream>>
  readonly sinks: readonly PreparedSink[]
  readonly grants: GrantsConfig
  /** Where grants and marks are shared; null: they are not. */
  readonly redis: RedisSettings | null
  readonly revocation: RevocationConfig
  /** Transmitters of Shared Signals. */
  readonly signals: readonly Transmitter[]
  readonly assertion: AssertionConfig
  /** Makes the key when the configuration names none; always the same one. */
  readonly assertionSettings: () => AssertionSettings
  readonly table: RouteTable
  /** `routes[i].route.index === i`. */
  readonly routes: readonly ConfiguredRoute[]
  /** Whether an edit is refused when one of `decisionTests` fails. */
  readonly requireTests: boolean
  /** Those that were asked for when it was loaded, or that an edit must pass. */
  readonly decisionTests: readonly DecisionTest[]
}

export interface ConfiguredListener extends ListenerConfig {
  /** `bind`, and what tells it from others with the same port 0. */
  readonly id: string
  /** What `tls` names, read and checked; null: plain HTTP. */
  readonly material: TlsMaterial | null
}

/** An entry that is ready to be made. */
export interface Prepared<T> {
  readonly create: () => T
  /**
   * The same as long as the entry's settings, and what it read, are. Secrets count; it means nothing outside of
   * this process.
   */
  readonly fingerprint: string
}

export interface PreparedSink extends Prepared<Sink> {
  readonly create: SinkFactory
}

export type Permission = 'read' | 'explain' | 'replay' | 'revoke'

export interface AdminConfig {
  readonly bind: string
  /** Names that the admin port goes by besides its address and localhost; lower case, without port. */
  readonly hosts: readonly string[]
  readonly tokens: readonly {
    readonly name: string
    readonly token: Secret
    readonly may: readonly Permission[]
  }[]
}

export interface ConfiguredRoute {
  readonly route: Route
  readonly match: MatchConfig
  readonly flags: MatchFlags
  /** Exact, or `*.suffix`; undefined: any. */
  readonly host: string | undefined
  readonly plan: MappingPlan
  /** Null: `grant: none`. */
  readonly grant: RouteGrantConfig | null
  /** Where the route is written. */
  readonly file: string
  readonly line: number
}

export interface LoadResult {
  /** Null when there is an error among the findings, or it is unfinished. */
  readonly configuration: Configuration | null
  /** It was not wanted any more before all was checked. */
  readonly unfinished?: true
  readonly findings: readonly Finding[]
  /** What was read, also when there is no configuration in it. */
  readonly sources: Sources
}
