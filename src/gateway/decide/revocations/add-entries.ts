import { z } from 'zod'
import type { Argument, RedisLink } from '../redis/link.ts'
import type { Mac } from '../redis/mac.ts'
import { type FeedEntry, writtenEntry } from './feed-entry.ts'
import { ADD } from './feed-scripts.ts'
import type { Position } from './position.ts'

/** Of a feed, as keys of a Redis. */
export interface FeedKeys {
  readonly meta: string
  readonly marks: string
  readonly ids: string
}

/**
 * Adds entries to the feed, in this order and all sent at once; one that is there already keeps its position.
 *
 * Not one step: when it rejects, some of them may be in the feed.
 *
 * @param mostOf how many entries the feed may have with this one.
 * @returns their positions.
 */
export const addEntries = async <Entry extends FeedEntry>(
  {
    link,
    keys,
    mac,
  }: { readonly link: Pick<RedisLink, 'batch'>; readonly keys: FeedKeys; readonly mac: Mac },
  entries: readonly Entry[],
  mostOf: (entry: Entry) => number,
): Promise<readonly (Position | 'full')[]> => {
  const commands = entries.map((entry): [string, ...Argument[]] => {
    const args = [...writtenEntry(entry, mac), String(mostOf(entry))]
    return ['EVAL', ADD, 3, keys.meta, keys.marks, keys.ids, ...args]
  })
  return z
    .array(z.string())
    .length(entries.length)
    .parse(await link.batch(commands))
}
