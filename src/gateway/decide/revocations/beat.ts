import { z } from 'zod'
import type { Mac } from '../redis/mac.ts'
import { type PlacedEntry, readEntries } from './feed-entry.ts'
import { comparePositions, type Position } from './position.ts'

/** What one heartbeat found. */
export interface Beat {
  readonly epoch: string
  /** When the epoch began, by the server's clock. */
  readonly sinceMs: number
  readonly serverMs: number
  readonly last: Position
  /** What came before is not kept any more. */
  readonly floor: Position
  readonly entries: readonly PlacedEntry[]
  /** Gateways that were heard of lately, and how far each has come. */
  readonly replicas: readonly { readonly id: string; readonly epoch: string; readonly position: Position }[]
  readonly policy: string
}

/** True when a gateway had applied all up to there, as its last heartbeat said. */
export const hasComeTo = (replica: Beat['replicas'][number], epoch: string, at: Position): boolean =>
  replica.epoch === epoch && comparePositions(replica.position, at) >= 0

const REPLY = z.tuple([
  z.string(),
  z.coerce.number(),
  z.coerce.number(),
  z.string(),
  z.string(),
  z.unknown(),
  z.array(z.string()),
  z.string(),
])

/** Reads what the script answers. @throws for what it never answers. */
export const createBeatReader =
  (mac: Mac) =>
  (reply: unknown): Beat => {
    const [epoch, sinceMs, serverMs, last, floor, entries, replicas, policy] = REPLY.parse(reply)
    return {
      ...{ epoch, sinceMs, serverMs, last, floor, policy },
      entries: readEntries(entries, mac),
      replicas: replicas.flatMap((id, index) => {
        if (index % 2 === 1) return []
        const [, theirs = '', position = ''] = (replicas[index + 1] ?? '').split(' ')
        return [{ id, epoch: theirs, position }]
      }),
    }
  }
