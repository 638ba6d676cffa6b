import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { AdminCall, DispatchOptions } from './dispatch.ts'

const WINDOW_MS = 10_000
const LINES_PER_WINDOW = 20
const MAX_PATH = 200

/**
 * Logs who asked for what: every call that was let through, and refusals.
 *
 * Of a flood of refusals so many in ten seconds, and then how many there were besides: anybody can cause those.
 * Does not check: that the path holds no secret. Queries are not part of it.
 */
export const createCallLog = (log: Log, clock: Clock): Pick<DispatchOptions, 'onRefused' | 'onCall'> => {
  let windowStartMs = 0
  let logged = 0
  let untold = 0
  return {
    onCall: (call) => log.info(shortened(call), 'an admin request'),
    onRefused: (call, status) => {
      const nowMs = clock.nowMs()
      if (Math.abs(nowMs - windowStartMs) >= WINDOW_MS) {
        windowStartMs = nowMs
        logged = 0
      }
      if (logged >= LINES_PER_WINDOW) {
        untold += 1
        return
      }
      logged += 1
      const fields = { ...shortened(call), status, ...(untold > 0 && { untold }) }
      untold = 0
      log.warn(fields, 'an admin request was refused')
    },
  }
}

const shortened = (call: AdminCall): AdminCall => ({ ...call, path: call.path.slice(0, MAX_PATH) })
