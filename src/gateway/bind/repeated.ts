import { LRUCache } from 'lru-cache'
import type { Bound } from '../../core/decision.ts'
import type { Identity } from '../../core/identity.ts'
import type { Accepted } from '../../core/request.ts'
import type { Read } from './reads.ts'

/** What was bound of late, to be given again where the very same would come out. */
export interface Repeated {
  /** Null: the caller has asked that before, and it was not kept. Undefined: he has not asked it of late. */
  readonly get: (accepted: Accepted, identity: Identity) => Bound | null | undefined
  /** It was asked once. */
  readonly note: (accepted: Accepted, identity: Identity) => void
  /** It was asked again. @returns what is given from now on. */
  readonly keep: (accepted: Accepted, identity: Identity, bound: Bound) => Bound
}

interface Kept {
  readonly identity: Identity
  /** Null until it is asked again: most of what is asked once is not. */
  readonly bound: Bound | null
}

const MOST_KEPT = 1024
/** So much of a digest tells callers apart; of two that have it in common only the latter is kept. */
const DIGEST_CHARACTERS = 12

/**
 * Keeps the latest bound requests of one configuration, each for one verified credential, route and target.
 *
 * Later stages know what they made of a kept one by the object, so that the same question by the same caller is
 * neither mapped nor hashed again. Does not check: that nothing else is read (`isRepeatable`).
 */
export const createRepeated = (): Repeated => {
  const kept = new LRUCache<string, Kept>({ max: MOST_KEPT })
  return {
    get: (accepted, identity) => {
      const found = kept.get(keyOf(accepted, identity))
      // A credential that was verified anew may say something else.
      return found?.identity === identity ? found.bound : undefined
    },
    note: (accepted, identity) => {
      kept.set(keyOf(accepted, identity), { identity, bound: null })
    },
    keep: (accepted, identity, bound) => {
      const given = { ...bound, isKept: true }
      kept.set(keyOf(accepted, identity), { identity, bound: given })
      return given
    },
  }
}

// Whose it is, is looked at in what is found. The shorter the key, the sooner it is hashed, which it is with each request.
const keyOf = ({ route, request }: Accepted, { credential }: Identity): string =>
  `${credential.digest.slice(0, DIGEST_CHARACTERS)} ${route.index} ${request.target}`

/** True when nothing is read but the path, what the route says, and what was verified of the caller. */
export const isRepeatable = (reads: readonly Read[]): boolean =>
  reads.every(({ root, keys: [member] }) => {
    if (root === 'request') return member === 'path'
    if (root === 'credential') return member !== undefined && member !== 'ageSeconds'
    return root === 'path' || root === 'claims' || root === 'subject' || root === 'route'
  })
