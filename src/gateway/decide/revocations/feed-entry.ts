import { z } from 'zod'
import type { Mac } from '../redis/mac.ts'
import { MARK_EFFECTS, MARK_KINDS, type Mark } from './mark.ts'
import { isPosition, type Position } from './position.ts'

/** What stands in the feed: a mark, or that one was withdrawn. */
export type FeedEntry =
  | { readonly mark: Mark }
  | { readonly withdrawn: string; readonly by: string; readonly expiresAtMs: number }

export interface PlacedEntry {
  readonly position: Position
  /** Null: it does not come from a gateway with our key. */
  readonly entry: FeedEntry | null
}

export const MARK = z.strictObject({
  id: z.string().refine(isPosition),
  kind: z.enum(MARK_KINDS),
  target: z.string(),
  effect: z.enum(MARK_EFFECTS),
  reason: z.string(),
  by: z.string(),
  issuedAtMs: z.number(),
  expiresAtMs: z.number(),
})

const ENTRY = z.union([
  z.strictObject({ mark: MARK }),
  z.strictObject({ withdrawn: z.string(), by: z.string(), expiresAtMs: z.number() }),
])

const PURPOSE = 'mark'

export const idOf = (entry: FeedEntry): string => ('mark' in entry ? entry.mark.id : `w ${entry.withdrawn}`)

/** The arguments of `ADD`. */
export const writtenEntry = (entry: FeedEntry, mac: Mac): readonly string[] => {
  const payload = JSON.stringify(entry)
  const expiresAtMs = 'mark' in entry ? entry.mark.expiresAtMs : entry.expiresAtMs
  return [idOf(entry), payload, mac.sign(PURPOSE, payload), String(expiresAtMs)]
}

const REPLY = z.array(z.tuple([z.string(), z.array(z.string())]))

/** Reads what XRANGE answers. @throws for what no Redis answers. */
export const readEntries = (reply: unknown, mac: Mac): readonly PlacedEntry[] =>
  REPLY.parse(reply).map(([position, fields]) => {
    const [, , , payload = '', , signature = ''] = fields
    if (!mac.isGood(PURPOSE, payload, signature)) return { position, entry: null }
    const read = ENTRY.safeParse(JSON.parse(payload))
    return { position, entry: read.success ? read.data : null }
  })
