import type { Identity } from '../../../core/identity.ts'
import type { Mark, MarkDraft } from './mark.ts'
import type { GrantFacts } from './mark-table.ts'
import type { Held } from './position.ts'

/**
 * How much is known of the latest marks.
 *
 * `fresh`: all but those of the last `maxStale`; grants serve. `stale`: the engine is asked each time. `lost`: for
 * longer than `failClosedAfter`; requests are refused with `revocation_unavailable`.
 */
export type Freshness = 'fresh' | 'stale' | 'lost'

/** What became of a mark: how many gateways there are, and how many of them had applied it when this was answered. */
export interface Published {
  readonly mark: Mark
  readonly replicas: { readonly known: number; readonly applied: number }
  /** What is less than it should be, such as that it does not survive a restart. */
  readonly warning?: string
}

export type Withdrawn = Pick<Published, 'mark' | 'warning'>

/** Expected failures of publishing: the mark is not known to be in the feed. */
export interface NotPublished {
  readonly failed: string
  /** It may be in the feed all the same: nobody has said that it is not. */
  readonly isUnsure?: true
}

/** For `/readyz` and the metrics. */
export interface FeedStatus {
  readonly freshness: Freshness
  /** Since what is known for certain was written; 0 where marks do not travel. */
  readonly staleMs: number
  readonly position: Held
  /** Marks that are in force. */
  readonly marks: number
  /** Marks that were applied here since the feed was made. */
  readonly applied: number
  /** Why this gateway should get no requests yet; null: no reason. */
  readonly unready: string | null
}

/** Marks in one order for everybody, and what they cover here. All that has no promise is synchronous and cheap. */
export interface RevocationFeed {
  readonly freshness: () => Freshness
  /** Up to where marks were applied here. To be read before an engine is asked, and kept with its answer. */
  readonly position: () => Held
  /** While this stays the same, so do the answers of `voids` and, but for marks that expire, `refuses`. */
  readonly changes: () => number
  /** True when what was asked at `held` must not be used any more. */
  readonly voids: (grant: GrantFacts, held: Held) => boolean
  /** The mark for whose sake this caller is refused with 401; undefined: none. Never for an anonymous one. */
  readonly refuses: (identity: Pick<Identity, 'subject' | 'credential'>) => Mark | undefined
  /**
   * Resolves when the mark is in the feed and applied here.
   *
   * @param insists nobody will ask again: when the feed is out of reach the mark is applied here, and published as soon as
   *   it is heard; default false.
   */
  readonly publish: (draft: MarkDraft, insists?: boolean) => Promise<Published | NotPublished>
  /** Null: there is no such mark. What it has voided stays void. */
  readonly withdraw: (id: string, by: string) => Promise<Withdrawn | NotPublished | null>
  /** Marks in force, the oldest first. */
  readonly list: () => readonly Mark[]
  /** Calls back with each mark after it was applied here, wherever it came from; the result stops that. */
  readonly onMark: (listener: (mark: Mark) => void) => () => void
  readonly status: () => FeedStatus
  readonly close: () => void | Promise<void>
}

/** What is told of marks to whoever keeps the record: called where a mark is published or withdrawn, and only there. */
export type OnPublished = (what: 'published' | 'withdrawn', mark: Mark, by: string) => void
