import type { Finding } from '../core/problem.ts'
import type { Route } from '../core/route.ts'
import type { Secret } from '../core/secret.ts'
import type { LimitsConfig, ListenerConfig, MatchConfig, MatchFlags } from '../gateway/accept/config.ts'
import type { RouteTable } from '../gateway/accept/route-table.ts'
import type { AuthenticatorFactory } from '../gateway/authenticate/authenticator.ts'
import type { MappingPlan } from '../gateway/bind/plan.ts'
import type { GrantsConfig, RouteGrantConfig } from '../gateway/decide/config.ts'
import type { Engine } from '../gateway/decide/engines/engine.ts'
import type { AssertionSettings } from '../gateway/enforce/assertion-key.ts'
import type { AssertionConfig, UpstreamConfig } from '../gateway/enforce/config.ts'
import type { Sink } from '../gateway/record/sinks/sink.ts'

/** A configuration in which nothing is wrong: every name resolved, every expression compiled. */
export interface Configuration {
  /** `sha256:` over the content of every file that was read. */
  readonly version: string
  readonly file: string
  /** Every file that was read, absolute, to be watched for edits. */
  readonly files: readonly string[]
  readonly listeners: readonly ListenerConfig[]
  readonly admin: AdminConfig | null
  readonly limits: LimitsConfig
  readonly drainTimeoutMs: number
  /** Factories, by name; nothing is opened or fetched before they are called. */
  readonly authenticators: ReadonlyMap<string, AuthenticatorFactory>
  readonly engines: ReadonlyMap<string, () => Engine>
  readonly sinks: readonly (() => Sink)[]
  readonly upstreams: ReadonlyMap<string, UpstreamConfig>
  readonly grants: GrantsConfig
  readonly assertion: AssertionConfig
  /** Makes the key when the configuration names none; always the same one. */
  readonly assertionSettings: () => AssertionSettings
  readonly table: RouteTable
  /** `routes[i].route.index === i`. */
  readonly routes: readonly ConfiguredRoute[]
}

export interface AdminConfig {
  readonly bind: string
  readonly tokens: readonly {
    readonly name: string
    readonly token: Secret
    readonly may: readonly string[]
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
  /** Null when there is an error among the findings. */
  readonly configuration: Configuration | null
  readonly findings: readonly Finding[]
}
