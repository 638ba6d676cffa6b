import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { isRefusal, type Refusal, refuse } from '../../../core/refusals.ts'
import type { SharedValues } from '../../../core/shared-values.ts'
import type { SharedWait } from '../../../core/shared-wait.ts'
import { isProviderFailure, type ProviderFailure } from './provider-failure.ts'
import type { Refresh } from './refresh.ts'
import { dueAtMs, type Renewal, type RenewalOptions, type Renewed } from './renewal.ts'
import type { Session } from './session.ts'
import { keyOfHandle } from './shared-store.ts'

export interface SharedRenewalOptions extends Pick<RenewalOptions, 'store' | 'limits' | 'clock'> {
  readonly authenticator: string
  readonly purpose: string
  readonly values: SharedValues
  readonly refresh: Refresh
  /** Of one answer of the provider. */
  readonly timeoutMs: number
}

type Outcome = Renewed | ProviderFailure | Refusal

const KIND = 'renewal'
/** A refresh asks the provider for its metadata, for tokens and for keys, at most. */
const MOST_ANSWERS = 3
const SLACK_MS = 5000
const LOOK_MS = 100
const MOST_TRIES = 20

const BUSY: ProviderFailure = {
  failure: 'unavailable',
  detail: 'another gateway has been refreshing the session for too long',
}

/**
 * Makes the renewal of sessions that several gateways share: of all of them one at a time writes a session, so that
 * a refresh token is used once, and no gateway puts an old one back.
 *
 * A gateway that comes second goes on with the tokens that are there while they are good, and else waits for the
 * first one, at most as long as that may take. One that dies in between holds up the others so long. Requests of one
 * session that come meanwhile have the answer of the first, with its wait for what is shared. Does not check: that a
 * gateway which was stopped for longer than that does not go on where it was.
 */
export const createSharedRenewal = (options: SharedRenewalOptions): Renewal => {
  const { authenticator, purpose, store, values, refresh, limits, clock } = options
  const holdMs = MOST_ANSWERS * options.timeoutMs + SLACK_MS
  const flights = new Map<string, Promise<Outcome>>()

  const isUsable = (session: Session, nowMs: number): boolean =>
    !refresh.isDue(session, nowMs) || nowMs < (session.expiresAt ?? 0) * 1000

  const isOutOfReach = (saved: string | Refusal): boolean =>
    typeof saved !== 'string' && saved.refusal === 'authenticator_unavailable'

  /**
   * The provider takes the token before this one no more: it is worth some patience not to lose the new one, though
   * not that of the request.
   */
  const saveLater = async (session: Session, value: string): Promise<void> => {
    for (let tries = 1; tries < MOST_TRIES; tries += 1) {
      await pause(LOOK_MS, undefined, { ref: false })
      if (!isOutOfReach(await store.save(session, value))) return
    }
  }

  /** By the one who holds it. Another one may have renewed the session since it was read. */
  const renewHeld = async (value: string, wait: SharedWait, held: Held): Promise<Outcome> => {
    const session = await store.load(value, wait)
    if (session === null)
      return refuse('authenticate', 'unauthenticated', `${authenticator}: the session was ended meanwhile`)
    if (isRefusal(session)) return session
    if (clock.nowMs() < dueAtMs(session, limits)) return { session, value }
    const current = await refresh.run(session, clock.nowMs())
    if (isProviderFailure(current)) {
      if (current.failure === 'refused') await store.remove(value, wait)
      return current
    }
    const used = { ...current, usedAt: Math.floor(clock.nowMs() / 1000) }
    const saved = await store.save(used, value, wait)
    if (isOutOfReach(saved)) held.until(saveLater(used, value))
    return typeof saved === 'string' ? { session: used, value } : saved
  }

  const renewOnce = async (value: string, session: Session, wait: SharedWait): Promise<Outcome> => {
    const key = keyOfHandle(purpose, value)
    const owner = randomBytes(16).toString('base64url')
    const deadlineMs = clock.nowMs() + holdMs
    // Several requests wait here for one answer, so that no single caller's leaving ends it; the deadline does.
    for (let looking = wait; ; looking = wait.aside(clock.monotonicUs())) {
      const claimed = await values.claim(KIND, key, owner, holdMs, looking)
      if (claimed === 'mine') {
        const held = holding(() => values.release(KIND, key, owner))
        return renewHeld(value, wait, held).finally(held.end)
      }
      if (isUsable(session, clock.nowMs())) return { session, value }
      if (claimed === 'unavailable') return unreachable(authenticator)
      if (clock.nowMs() >= deadlineMs) return BUSY
      // It is the other gateway that is waited for.
      await pause(LOOK_MS, undefined, { ref: false })
    }
  }

  return {
    dueAtMs: (session) => dueAtMs(session, limits),
    renew: (value, session, wait) => {
      const known = flights.get(value)
      if (known !== undefined) return known
      const outcome = renewOnce(value, session, wait).finally(() => flights.delete(value))
      flights.set(value, outcome)
      return outcome
    },
  }
}

/** What is given back when it is no longer needed, for which no request waits. */
interface Held {
  /** Something still needs it; it ends by itself. */
  readonly until: (work: Promise<void>) => void
  readonly end: () => void
}

const holding = (release: () => Promise<void>): Held => {
  let needed: Promise<void> = Promise.resolve()
  return {
    until: (work) => {
      needed = work
    },
    end: () => void needed.then(release, release),
  }
}

const unreachable = (authenticator: string): Refusal =>
  refuse(
    'authenticate',
    'authenticator_unavailable',
    `${authenticator}: the Redis that keeps the sessions cannot be reached`,
  )
