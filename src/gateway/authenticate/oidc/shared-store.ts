import { hash, randomBytes } from 'node:crypto'
import type { Clock } from '../../../core/clock.ts'
import { refuse } from '../../../core/refusals.ts'
import type { SharedValues } from '../../../core/shared-values.ts'
import type { SharedWait } from '../../../core/shared-wait.ts'
import type { Sealer } from './sealing.ts'
import {
  claimsOf,
  endOfUseMs,
  parseSession,
  type Session,
  type SessionLimits,
  sessionJson,
} from './session.ts'
import type { SessionStore } from './session-store.ts'

export interface SharedStoreOptions {
  readonly authenticator: string
  /** Tells the sessions of one authenticator and provider from those of others. */
  readonly purpose: string
  readonly sealer: Sealer
  readonly values: SharedValues
  readonly limits: SessionLimits
  readonly clock: Clock
}

const KIND = 'session'
const KIND_OF_INDEX = 'sessions-of'
const HANDLE = /^[A-Za-z0-9_-]{43}$/

/** What a handle is kept under: whoever reads the Redis learns no handle. */
export const keyOfHandle = (purpose: string, handle: string): string =>
  hash('sha256', `${purpose} ${handle}`, 'base64url')

/** The key in a note of the index, unless the session began later. */
const begunBy = (member: string, atMs: number): readonly string[] => {
  const [startedAt, key] = member.split(' ')
  return key !== undefined && Number(startedAt) * 1000 <= atMs ? [key] : []
}

/**
 * Keeps sessions where all gateways see them, sealed, and in the browser nothing but a handle.
 *
 * What was sealed for one handle is good for no other: whoever can write there cannot give a session to somebody
 * else. A session that was removed is not written again by somebody who had read it before.
 */
export const sharedStore = (options: SharedStoreOptions): SessionStore => {
  const { authenticator, purpose, sealer, values, limits, clock } = options
  const unavailable = refuse(
    'authenticate',
    'authenticator_unavailable',
    `${authenticator}: the Redis that keeps the sessions cannot be reached`,
  )
  const noteOf = (part: 'sid' | 'sub', value: string): readonly string[] =>
    sealer.pseudonyms(JSON.stringify([part, value]))
  /** So that a logout at the provider finds it; one that is not found is refused all the same, and ends by itself. */
  const note = async (session: Session, key: string, forMs: number, wait?: SharedWait): Promise<void> => {
    const claims = claimsOf(session.idToken)
    const names = (['sid', 'sub'] as const).flatMap((part) => {
      const value = claims[part]
      return typeof value === 'string' ? noteOf(part, value).slice(0, 1) : []
    })
    const member = `${session.startedAt} ${key}`
    await Promise.all(names.map((name) => values.note(KIND_OF_INDEX, name, member, forMs, wait)))
  }
  return {
    save: async (session, before, wait) => {
      const handle = before ?? randomBytes(32).toString('base64url')
      const key = keyOfHandle(purpose, handle)
      const value = await sealer.seal({ ...sessionJson(session), key })
      const forMs = endOfUseMs(session, limits) - clock.nowMs()
      const [written] = await Promise.all([
        values.write({ kind: KIND, key, value, forMs }, before === null ? 'new' : 'replace', wait),
        note(session, key, forMs, wait),
      ])
      if (written === 'written') return handle
      if (written === 'unavailable') return unavailable
      return refuse('authenticate', 'unauthenticated', `${authenticator}: the session was ended meanwhile`)
    },
    load: async (handle, wait) => {
      if (!HANDLE.test(handle)) return null
      const key = keyOfHandle(purpose, handle)
      const read = await values.read(KIND, key, wait)
      if (read === 'unavailable') return unavailable
      const json = read.value === null ? null : await sealer.open(read.value)
      return json === null || json.key !== key ? null : parseSession(json)
    },
    remove: async (handle, wait) => {
      // What cannot be removed now is refused by its mark, and ends by itself.
      if (HANDLE.test(handle)) await values.remove(KIND, keyOfHandle(purpose, handle), wait)
    },
    removeAll: async (part, value, atMs, wait) => {
      const names = noteOf(part, value)
      const lists = await Promise.all(names.map((name) => values.members(KIND_OF_INDEX, name, wait)))
      const keys = lists.flatMap((list) =>
        list === 'unavailable' ? [] : list.flatMap((member) => begunBy(member, atMs)),
      )
      await Promise.all(keys.map((key) => values.remove(KIND, key, wait)))
    },
  }
}
