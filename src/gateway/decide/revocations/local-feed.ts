import { randomBytes } from 'node:crypto'
import type { Clock } from '../../../core/clock.ts'
import type { Log } from '../../../core/log.ts'
import type { OnPublished, Published, RevocationFeed } from './feed.ts'
import { createListeners } from './listeners.ts'
import { type Mark, type MarkDraft, MIN_MARK_LIFE_MS, mostMarks } from './mark.ts'
import type { MarkFile } from './mark-file.ts'
import type { MarkPeers, Told } from './mark-peers.ts'
import { createMarkTable } from './mark-table.ts'
import { comparePositions, heldOf, nextPosition, type Position, positionOf, START } from './position.ts'

export interface LocalFeedOptions {
  readonly clock: Clock
  readonly log: Log
  /** How long a mark with `effect: credentials` is in force unless it says itself. */
  readonly markLifeMs: number
  /** How many marks may be in force. */
  readonly maxMarks: number
  /** Keeps marks across a restart, and is not closed with the feed; null: they end with the process. */
  readonly file: MarkFile | null
  /** Marks that are in force already; the file has them. */
  readonly marks: readonly Mark[]
  readonly onPublished: OnPublished
  /** Other workers that marks are for too; left out: there are none. */
  readonly peers?: MarkPeers
}

/**
 * The feed of one process, or of one of several workers: always fresh, since a mark is applied where it is published,
 * and right after that by the others.
 */
export const createLocalFeed = (options: LocalFeedOptions): RevocationFeed => {
  const { clock, log, file, onPublished, peers } = options
  const epoch = `local-${randomBytes(9).toString('base64url')}`
  const table = createMarkTable(epoch)
  const listeners = createListeners<Mark>(log)
  let position = START
  let held = heldOf(epoch, START)
  let applied = 0

  const apply = (mark: Mark, at = mark.id): void => {
    if (comparePositions(at, position) > 0) position = at
    held = heldOf(epoch, position)
    table.apply(mark, at)
    applied += 1
  }
  for (const mark of options.marks) if (clock.nowMs() < mark.expiresAtMs) apply(mark)

  peers?.listen({
    published: (mark) => {
      // It may have been made before one that was applied here already, and is after what was decided up to now.
      apply(mark, nextPosition(position, clock.nowMs()))
      listeners.tell(mark)
    },
    withdrawn: (id) => {
      table.withdraw(id)
    },
  })
  const idOf = (nowMs: number): Position => {
    const next = nextPosition(position, nowMs)
    return peers === undefined ? next : positionOf(next, peers.index)
  }

  return {
    freshness: () => 'fresh',
    position: () => held,
    changes: table.changes,
    voids: table.voids,
    refuses: (identity) => table.refuses(identity, clock.nowMs()),
    publish: async (draft) => {
      table.forget(clock.nowMs())
      const most = mostMarks(draft, options.maxMarks)
      if (table.size() >= most) return { failed: `${most} marks are in force` }
      const mark = markOf(draft, idOf(clock.nowMs()), clock.nowMs(), options.markLifeMs)
      const failed = file?.add(mark) ?? null
      // In force all the same: a full disk must not keep somebody in.
      apply(mark)
      listeners.tell(mark)
      onPublished('published', mark, mark.by)
      if (peers !== undefined) return { mark, ...replicasOf(await peers.publish(mark)) }
      const warning = failed === null ? {} : { warning: `it will not survive a restart: ${failed}` }
      return { mark, replicas: { known: 1, applied: 1 }, ...warning }
    },
    withdraw: async (id, by) => {
      const mark = table.withdraw(id)
      if (mark === undefined) return null
      const failed = file?.remove(id) ?? null
      onPublished('withdrawn', mark, by)
      if (peers !== undefined) {
        const { warning } = await peers.withdraw(id)
        return { mark, ...(warning === undefined ? {} : { warning }) }
      }
      return { mark, ...(failed === null ? {} : { warning: `it will be back after a restart: ${failed}` }) }
    },
    list: () => {
      table.forget(clock.nowMs())
      return table.marks()
    },
    onMark: listeners.add,
    status: () => ({
      freshness: 'fresh',
      staleMs: 0,
      position: held,
      marks: table.marks().length,
      applied,
      unready: null,
    }),
    close: () => undefined,
  }
}

const replicasOf = ({ known, applied, warning }: Told): Omit<Published, 'mark'> => ({
  replicas: { known, applied },
  ...(warning === undefined ? {} : { warning }),
})

/** A draft as it goes into the feed. */
export const markOf = (draft: MarkDraft, id: string, nowMs: number, markLifeMs: number): Mark => {
  const { kind, target, effect, reason, by } = draft
  const lifeMs = effect === 'credentials' ? Math.max(markLifeMs, MIN_MARK_LIFE_MS) : MIN_MARK_LIFE_MS
  const expiresAtMs = Math.max(draft.expiresAtMs ?? nowMs + lifeMs, nowMs + MIN_MARK_LIFE_MS)
  return Object.freeze({ id, kind, target, effect, reason, by, issuedAtMs: nowMs, expiresAtMs })
}
