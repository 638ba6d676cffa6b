import { z } from 'zod'
import type { Settings } from '../../core/settings.ts'
import { redisField, storeField } from './redis/config.ts'

const MAX_TTL_MS = 24 * 60 * 60 * 1000

/** Schema of `grants`: where grants are kept, and for how long unless a route says otherwise. */
export const grantsConfig = (s: Settings) =>
  z.strictObject({
    store: storeField(),
    redis: redisField(s).prefault({}).describe('How to use the Redis that store names'),
    secret: s
      .secret()
      .optional()
      .describe(
        'What grants and marks in Redis are authenticated with, the same for all gateways; default derived from assertion.keyFile.',
      ),
    ttl: s
      .duration({ minMs: 0, maxMs: MAX_TTL_MS })
      .prefault('30s')
      .describe('How long an allow is kept at most, default 30s; 0s keeps none.'),
    denyTtl: s
      .duration({ minMs: 0, maxMs: MAX_TTL_MS })
      .prefault('0s')
      .describe('How long a deny is kept at most, default 0s: not at all.'),
    maxEntries: z
      .int()
      .min(1)
      .max(10_000_000)
      .default(100_000)
      .describe(
        'How many grants are kept in memory at most, default 100000; the least recently used go first.',
      ),
    maxBytes: z
      .int()
      .min(65_536)
      .default(67_108_864)
      .describe('How many bytes of grants are kept in memory at most, default 67108864 (64 MiB).'),
  })

export type GrantsConfig = z.infer<ReturnType<typeof grantsConfig>>

/** Schema of a route's `grant`: `none`, or what differs from `grants`. */
export const routeGrantField = (s: Settings) =>
  z
    .union([
      z.literal('none').describe('Asks the engine every time.'),
      z.strictObject({
        ttl: s
          .duration({ minMs: 0, maxMs: MAX_TTL_MS })
          .optional()
          .describe('How long an allow is kept at most, default grants.ttl.'),
        denyTtl: s
          .duration({ minMs: 0, maxMs: MAX_TTL_MS })
          .optional()
          .describe('How long a deny is kept at most, default grants.denyTtl.'),
        quantise: s
          .duration({ minMs: 1, maxMs: MAX_TTL_MS })
          .optional()
          .describe(
            'Rounds times and ages in the access request down to this, so that it can be kept at all, default not rounded.',
          ),
        bindTo: z
          .array(z.string().regex(/^context(?:\.[A-Za-z_][A-Za-z0-9_]*)+$/, 'expected context.<name>'))
          .min(1)
          .optional()
          .describe(
            'Parts of the context, such as context.device: a request in which one differs ends the earlier grants of its subject and resource, default none',
          ),
      }),
    ])
    .optional()
    .describe('How long the decision is kept, default as grants says; none asks the engine every time.')

export type RouteGrantField = z.infer<ReturnType<typeof routeGrantField>>

/** How the decisions of one route are kept. */
export interface RouteGrantConfig {
  readonly ttlMs: number
  readonly denyTtlMs: number
  /** Null: what changes with every request is not rounded. */
  readonly quantiseMs: number | null
  /** Parts of the context by whose change earlier grants end; left out: none. */
  readonly bindTo?: readonly string[]
}

/** What a route's `grant` means beside `grants`; null asks the engine every time. */
export const resolveRouteGrant = (
  routeGrant: RouteGrantField,
  grants: Pick<GrantsConfig, 'ttl' | 'denyTtl'>,
): RouteGrantConfig | null => {
  if (routeGrant === 'none') return null
  return {
    ttlMs: routeGrant?.ttl ?? grants.ttl,
    denyTtlMs: routeGrant?.denyTtl ?? grants.denyTtl,
    quantiseMs: routeGrant?.quantise ?? null,
    ...(routeGrant?.bindTo === undefined ? {} : { bindTo: routeGrant.bindTo }),
  }
}
