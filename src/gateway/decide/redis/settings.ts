import type { Secret } from '../../../core/secret.ts'

export interface RedisNode {
  readonly host: string
  readonly port: number
}

/** Where a Redis is, and how to get in. */
export interface RedisSettings {
  readonly place:
    | ({ readonly kind: 'single'; readonly db: number } & RedisNode)
    | {
        readonly kind: 'sentinel'
        readonly name: string
        readonly nodes: readonly RedisNode[]
        readonly db: number
      }
    | { readonly kind: 'cluster'; readonly nodes: readonly RedisNode[] }
  readonly username?: string
  readonly password?: Secret
  readonly sentinelPassword?: Secret
  /** Null: plain TCP. `ca` null: those of the system. */
  readonly tls: { readonly ca: string | null } | null
  /** In front of every key, with the version of what is kept there. */
  readonly keyPrefix: string
  /** Of all together that one request waits for. */
  readonly commandTimeoutMs: number
  /** Redis replicas that must have acknowledged before something counts as written. */
  readonly minReplicas: number
  /** What grants and marks are authenticated with; see `createMac`. */
  readonly macKey: Buffer
  /** The same as long as all of the above is; means nothing outside of this process. */
  readonly fingerprint: string
}
