import { z } from 'zod'
import type { Settings } from '../../../core/settings.ts'
import { remoteTlsConfig } from './remote-tls.ts'

/** The fields that every engine over HTTP has. */
export const remoteFields = (s: Settings) => ({
  url: s.url().describe('Address of the engine, such as http://127.0.0.1:8181.'),
  timeout: s
    .duration({ minMs: 10, maxMs: 60_000 })
    .prefault('500ms')
    .describe('Time for a whole answer, connecting included, default 500ms; then 503 engine_unavailable.'),
  connections: z
    .int()
    .min(1)
    .max(10_000)
    .default(64)
    .describe('Connections to the engine at most, default 64; what is over waits for one.'),
  token: s
    .secret()
    .optional()
    .describe('Sent as `Authorization: Bearer`, to prove Sallyport to the engine; default none.'),
  tls: remoteTlsConfig(s).optional().describe('How both sides of an https connection are known.'),
  policyVersion: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe(
      'A label for the policies in records and grants, where the engine does not say its revision; change it with them. Default unversioned.',
    ),
})

const fields = (s: Settings) => z.strictObject(remoteFields(s))

export type RemoteConfig = z.infer<ReturnType<typeof fields>>
