import { z } from 'zod'
import type { AdminDeps } from './admin-deps.ts'
import { json, problem } from './answers.ts'
import type { AdminRequest, Endpoint } from './endpoint.ts'

const DEADLINE_MS = 25_000
const MAX_LOG_BYTES = 64 * 1024 * 1024
const USUAL_LOG_BYTES = 8 * 1024 * 1024

const ASKED = z.strictObject({
  files: z.record(z.string().min(1), z.string()).default({}),
  bytes: z.int().min(1).max(MAX_LOG_BYTES).default(USUAL_LOG_BYTES),
})

/** Decides the end of the gateway's own log again, by a draft; one at a time. */
export const replayEndpoint = ({ replay }: Pick<AdminDeps, 'replay'>): Endpoint => {
  let isBusy = false
  return {
    method: 'POST',
    path: '/v1/replay',
    permission: 'replay',
    handle: async ({ body, signal }: AdminRequest) => {
      const read = ASKED.safeParse(body)
      if (!read.success) {
        return problem(
          400,
          read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; '),
        )
      }
      if (isBusy) return problem(429, 'another replay is under way', ['Retry-After', '5'])
      isBusy = true
      try {
        const replayed = await replay(read.data, AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]))
        return 'refused' in replayed ? problem(400, String(replayed.refused)) : json(replayed)
      } finally {
        isBusy = false
      }
    },
  }
}
