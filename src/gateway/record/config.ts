import { z } from 'zod'
import type { Settings } from '../../core/settings.ts'

/** When refusals of one caller are a flood, of which only the number is recorded. */
export const refusalRecordsConfig = (s: Settings) =>
  z.strictObject({
    perAddress: z
      .int()
      .min(1)
      .default(300)
      .describe(
        'How many refusals with 400, 401 or 404 of one client address are recorded one by one in each window; those above it become one line with a count, and their answers have no decision id; default 300',
      ),
    window: s
      .duration({ minMs: 100, maxMs: 3_600_000 })
      .prefault('10s')
      .describe('How long such refusals are counted before their line is written, default 10s'),
    addresses: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(10_000)
      .describe(
        'How many client addresses are counted on their own in each window; all others share one count, which names no address; default 10000',
      ),
  })

export type RefusalRecordsConfig = z.output<ReturnType<typeof refusalRecordsConfig>>
