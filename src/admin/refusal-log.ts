import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { RefusedAdminRequest } from './dispatch.ts'

const WINDOW_MS = 10_000
const LINES_PER_WINDOW = 20
const MAX_PATH = 200

/**
 * Logs refused admin requests; of a flood so many in ten seconds, and then how many there were besides.
 *
 * Does not check: that the path holds no secret. Queries are not part of it.
 */
export const createRefusalLog = (log: Log, clock: Clock): ((refused: RefusedAdminRequest) => void) => {
  let windowStartMs = 0
  let logged = 0
  let untold = 0
  return (refused) => {
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
    const fields = { ...refused, path: refused.path.slice(0, MAX_PATH), ...(untold > 0 && { untold }) }
    untold = 0
    log.warn(fields, 'an admin request was refused')
  }
}
