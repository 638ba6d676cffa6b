import { basename } from 'node:path'
import type { ChainPart } from './chain-parts.ts'
import type { ChainStart } from './chain-walk.ts'
import type { GivenHead } from './given-heads.ts'

/** What is known of a chain whose first parts were deleted. */
export interface Anchor {
  readonly start: ChainStart
  /** Heads that lie in what is left, where they can be compared. */
  readonly within: readonly GivenHead[]
}

/**
 * Where a chain is expected to begin: behind the head that was given for it, else with nothing before it.
 *
 * A head that lies within the chain says as much: the records up to it that are left hold the hashes of one another.
 *
 * @param from heads of what was deleted, each with its seq.
 */
export const anchorOf = (chain: readonly ChainPart[], from: readonly GivenHead[]): Anchor | null => {
  const first = chain[0]?.first ?? null
  const head = first === null ? undefined : headFor(chain, first.writer, from)
  if (first === null || head === undefined || head.seq === null) return null
  const { seq, hash } = head
  if (seq < first.seq) return { start: { seq, hash }, within: [] }
  return { start: { seq: first.seq - 1, hash: first.prev }, within: [head] }
}

const headFor = (
  chain: readonly ChainPart[],
  writer: string,
  from: readonly GivenHead[],
): GivenHead | undefined =>
  from.find((head) => chain.some(({ file }) => basename(file) === head.file)) ??
  from.find((head) => head.writer === writer) ??
  (from.length === 1 ? from[0] : undefined)
