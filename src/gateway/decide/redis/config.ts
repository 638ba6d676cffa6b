import { z } from 'zod'
import type { Settings } from '../../../core/settings.ts'

const URL_EXPECTED =
  'expected memory, redis://host:6379/0, rediss://…, { sentinels, name } or { cluster }; user and password go to grants.redis'
const REDIS_URL = /^rediss?:\/\/(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(:[0-9]{1,5})?(\/[0-9]{0,3})?$/
const NODE = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+):[0-9]{1,5}$/

const nodes = () =>
  z.array(z.string().regex(NODE, { error: 'expected host:port, such as redis-0.internal:6379' })).min(1)

/** Schema of `grants.store`. A password is never part of it: see `grants.redis`. */
export const storeField = () =>
  z
    .union(
      [
        z.literal('memory'),
        z.string().regex(REDIS_URL, { error: URL_EXPECTED }),
        z.strictObject({
          sentinels: nodes().describe('Sentinels as host:port'),
          name: z.string().min(1).describe('Name of the primary that they watch'),
          db: z.int().min(0).max(999).default(0).describe('Number of the database, default 0'),
        }),
        z.strictObject({ cluster: nodes().describe('Some nodes of the cluster as host:port') }),
      ],
      { error: URL_EXPECTED },
    )
    .default('memory')
    .describe(
      'Where grants are kept: memory (default), redis://host:6379/0, rediss:// for TLS, { sentinels, name } or { cluster }.',
    )

/** Schema of `grants.redis`: how to get in, and how long to wait. */
export const redisField = (s: Settings) =>
  z.strictObject({
    username: z.string().min(1).optional().describe('Name of the user, default none.'),
    password: s.secret().optional().describe('Its password, default none.'),
    sentinelPassword: s.secret().optional().describe('Password of the Sentinels, default none.'),
    tls: z
      .union([
        z.boolean(),
        z.strictObject({ caFile: s.path().describe('PEM file of the authorities to trust.') }),
      ])
      .optional()
      .describe('TLS to all nodes: true or { caFile }; default false, and true for rediss://.'),
    keyPrefix: z
      .string()
      .regex(/^[A-Za-z0-9_.:-]{1,64}$/, { error: 'expected up to 64 letters, digits and _.:-' })
      .default('sallyport')
      .describe('In front of every key, default sallyport.'),
    commandTimeout: s
      .duration({ minMs: 5, maxMs: 5_000 })
      .prefault('50ms')
      .describe('How long a request may wait for Redis with all that it asks there, default 50ms.'),
    minReplicas: z
      .int()
      .min(0)
      .max(10)
      .optional()
      .describe(
        'Redis replicas that must have a heartbeat or a mark before it counts, default 0, and 1 with Sentinels or a cluster.',
      ),
  })
