import { z } from 'zod'
import type { Settings } from '../../../core/settings.ts'

const TEN_YEARS_MS = 87_600 * 3_600_000

/** When a log goes on in a new file, and what becomes of the old ones. */
export const rotationConfig = (s: Settings) =>
  z.strictObject({
    size: z
      .int()
      .min(1024)
      .optional()
      .describe(
        'Bytes that a file may have; the record that would exceed them opens the next one, default any',
      ),
    every: s
      .duration({ minMs: 1000 })
      .optional()
      .describe('How long a file is written to, in steps from midnight UTC: 24h, 1h; default for ever'),
    keep: z.int().min(1).optional().describe('How many rotated files are kept, default all'),
    keepFor: s
      .duration({ minMs: 1000, maxMs: TEN_YEARS_MS })
      .optional()
      .describe('How long a file is kept after it was rotated, such as 2160h, default for ever'),
    compress: z
      .literal('gzip')
      .optional()
      .describe('Compresses rotated files in the background: gzip; default not at all'),
  })

export type RotationConfig = z.output<ReturnType<typeof rotationConfig>>
