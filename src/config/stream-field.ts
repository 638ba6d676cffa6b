import { z } from 'zod'
import type { Settings } from '../core/settings.ts'
import type { StreamRules } from '../core/stream.ts'

/** Schema of `stream` of a route, and of what routes have in common. */
export const streamField = (s: Settings) =>
  z
    .strictObject({
      recheck: s
        .duration({ minMs: 1000, maxMs: 24 * 60 * 60 * 1000 })
        .optional()
        .describe(
          'How often what has not ended is decided again, besides at the end of its grant, default 60s',
        ),
      onCredentialExpiry: z
        .enum(['close', 'continue'])
        .optional()
        .describe('What becomes of it when the credential that it was opened with expires, default close'),
    })
    .optional()
    .describe('How WebSockets, event streams and long transfers live on, default decided again every minute')

export type StreamField = z.infer<ReturnType<typeof streamField>>

/** Undefined where nothing is said: the defaults apply. */
export const resolveStream = (stream: StreamField, defaults: StreamField): StreamRules | undefined => {
  if (stream === undefined && defaults === undefined) return undefined
  return {
    recheckMs: stream?.recheck ?? defaults?.recheck ?? 60_000,
    onCredentialExpiry: stream?.onCredentialExpiry ?? defaults?.onCredentialExpiry ?? 'close',
  }
}
