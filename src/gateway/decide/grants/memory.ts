import { LRUCache } from 'lru-cache'
import type { Clock } from '../../../core/clock.ts'
import type { RevocationFeed } from '../revocations/feed.ts'
import type { Grant, GrantStore } from './store.ts'

/** One object a grant, since there may be very many. */
interface Kept extends Grant {
  /** Monotonic clock. */
  readonly endsAtUs: number
  /** Of the marks, when it was found that none of them voids it; -1: not looked at yet. */
  changes: number
}

// The key, the objects and their places in the map, rounded up.
const OVERHEAD_BYTES = 1024

/** What a store has to know of the revocation feed. */
export type VoidingMarks = Pick<RevocationFeed, 'changes' | 'voids'>

/**
 * Grants of this process, bounded by count and bytes; the least recently used go first.
 *
 * A grant ends by whichever clock is first: the wall clock, which a credential's end is told in, or the
 * monotonic one, so that a wall clock that is set back extends nothing. Whether a mark voids it is looked at when the
 * marks have changed since it was last asked for.
 */
export const createMemoryStore = (options: {
  readonly clock: Clock
  readonly maxEntries: number
  readonly maxBytes: number
  readonly marks: VoidingMarks
}): GrantStore => {
  const { clock, maxEntries, maxBytes, marks } = options
  const grants = new LRUCache<string, Kept>({ max: maxEntries, maxSize: maxBytes })
  let hits = 0
  let misses = 0

  const isLive = ({ expiresAtMs, endsAtUs }: Kept): boolean =>
    clock.nowMs() < expiresAtMs && clock.monotonicUs() < endsAtUs

  const isVoid = (kept: Kept): boolean => {
    const changes = marks.changes()
    if (kept.changes === changes) return false
    if (marks.voids(kept.facts, kept.held)) return true
    kept.changes = changes
    return false
  }

  const find = (id: string): Grant | undefined => {
    const kept = grants.get(id)
    if (kept === undefined) return undefined
    if (isLive(kept) && !isVoid(kept)) return kept
    grants.delete(id)
    return undefined
  }

  return {
    get: (id) => {
      const grant = find(id)
      if (grant === undefined) misses += 1
      else hits += 1
      return grant
    },
    put: (grant) => {
      const leftMs = Math.min(grant.lifeMs, grant.expiresAtMs - clock.nowMs())
      // Also false for NaN.
      if (!(leftMs > 0)) return
      const endsAtUs = clock.monotonicUs() + leftMs * 1000
      const { id, decision, expiresAtMs, lifeMs, held, facts } = grant
      const kept: Kept = { id, decision, expiresAtMs, lifeMs, held, facts, endsAtUs, changes: -1 }
      grants.set(id, kept, { size: sizeOf(grant) })
    },
    delete: (id) => {
      grants.delete(id)
    },
    list: () => [...grants.values()].filter((kept) => isLive(kept) && !isVoid(kept)),
    stats: () => ({ entries: grants.size, hits, misses }),
  }
}

const sizeOf = ({ decision, facts }: Grant): number => {
  let characters = facts.subject.length
  for (const resource of facts.resources) characters += resource.length
  for (const evaluation of [decision, ...(decision.evaluations ?? [])]) {
    const { reasons, errors, advice = [], templates = [], adminReason = '', userReason = '' } = evaluation
    for (const text of reasons) characters += text.length
    for (const text of errors) characters += text.length
    for (const text of advice) characters += text.length
    for (const text of templates) characters += text.length
    characters += adminReason.length + userReason.length + (evaluation.engineDecisionId?.length ?? 0)
  }
  return OVERHEAD_BYTES * (1 + (decision.evaluations?.length ?? 0)) + 2 * characters
}
