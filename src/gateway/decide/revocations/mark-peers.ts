import type { Mark } from './mark.ts'

/** What became of what was told to the other workers. */
export interface Told {
  /** Workers that serve, this one too, and how many of them have applied it. */
  readonly known: number
  readonly applied: number
  /** Such as that it does not survive a restart. */
  readonly warning?: string
}

/** The other workers of this machine, each of which has a feed of its own. */
export interface MarkPeers {
  /** This worker's own number: ids of marks differ by it. */
  readonly index: number
  /** Marks in force that were published before this worker was there. */
  readonly known: readonly Mark[]
  /** Resolves when all of them have applied it, or not in time. */
  readonly publish: (mark: Mark) => Promise<Told>
  readonly withdraw: (id: string) => Promise<Told>
  /** Who is told of what others publish and withdraw; only the last one counts. */
  readonly listen: (listener: PeerListener) => void
}

export interface PeerListener {
  readonly published: (mark: Mark) => void
  readonly withdrawn: (id: string) => void
}
