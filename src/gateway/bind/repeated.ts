import { LRUCache } from 'lru-cache'
import type { Bound } from '../../core/decision.ts'
import type { Identity } from '../../core/identity.ts'
import type { Accepted } from '../../core/request.ts'
import type { Read } from './reads.ts'

/** What was bound of late, to be given again where the very same would come out. */
export interface Repeated {
  readonly get: (accepted: Accepted, identity: Identity) => Bound | undefined
  readonly put: (accepted: Accepted, identity: Identity, bound: Bound) => void
}

interface Kept {
  readonly identity: Identity
  readonly bound: Bound
}

const MOST_KEPT = 1024

/**
 * Keeps the latest bound requests of one configuration, each for one verified credential, route and target.
 *
 * Later stages know what they made of a bound request by the object, so that the same question by the same caller
 * is neither mapped nor hashed again. Does not check: that nothing else is read (`isRepeatable`).
 */
export const createRepeated = (): Repeated => {
  const kept = new LRUCache<string, Kept>({ max: MOST_KEPT })
  return {
    get: (accepted, identity) => {
      const found = kept.get(keyOf(accepted, identity))
      // A credential that was verified anew may say something else.
      return found?.identity === identity ? found.bound : undefined
    },
    put: (accepted, identity, bound) => {
      kept.set(keyOf(accepted, identity), { identity, bound })
    },
  }
}

const keyOf = ({ route, request }: Accepted, { credential }: Identity): string =>
  `${credential.digest} ${route.index} ${request.target}`

/** True when nothing is read but the path, what the route says, and what was verified of the caller. */
export const isRepeatable = (reads: readonly Read[]): boolean =>
  reads.every(({ root, keys: [member] }) => {
    if (root === 'request') return member === 'path'
    if (root === 'credential') return member !== undefined && member !== 'ageSeconds'
    return root === 'path' || root === 'claims' || root === 'subject' || root === 'route'
  })
