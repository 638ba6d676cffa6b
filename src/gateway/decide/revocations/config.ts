import { z } from 'zod'
import type { Settings } from '../../../core/settings.ts'
import { MIN_MARK_LIFE_MS } from './mark.ts'

const NEVER = 'never'

/** Schema of `revocation`: what is known of marks, and what may be done without knowing the latest ones. */
export const revocationConfig = (s: Settings) =>
  z.strictObject({
    maxStale: s
      .duration({ minMs: 100, maxMs: 60_000 })
      .prefault('2s')
      .describe(
        'How old the latest that is known of the feed may be for grants to serve, default 2s; the engine is asked each time when it is older.',
      ),
    failClosedAfter: z
      .union([z.literal(NEVER).describe('Goes on asking the engine.'), s.duration()], {
        error: 'expected a duration such as 5m, or never',
      })
      .prefault('5m')
      .transform((after) => (after === NEVER ? Number.POSITIVE_INFINITY : after))
      .describe(
        'How old it may be before requests are refused with 503 revocation_unavailable, default 5m; never refuses none.',
      ),
    file: s
      .path()
      .optional()
      .describe(
        'File that keeps marks across a restart where grants are kept in memory; default none: marks end with the process.',
      ),
    markLife: s
      .duration({ minMs: MIN_MARK_LIFE_MS })
      .prefault('168h')
      .describe(
        'How long a mark with effect credentials is in force unless it says itself, default 168h; no credential should live longer.',
      ),
    maxMarks: z
      .int()
      .min(100)
      .max(10_000_000)
      .default(100_000)
      .describe(
        'How many marks may be in force, default 100000; no more are taken then. The last quarter is for those who revoke: not for what callers cause, such as by signing in and out.',
      ),
  })

export type RevocationConfig = z.infer<ReturnType<typeof revocationConfig>>
