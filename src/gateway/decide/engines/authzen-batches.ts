import type { AccessRequest } from '../../../core/access-request.ts'

/** Engines refuse more in one request (Cerbos: 50, unless it is told otherwise). */
const MOST_TOGETHER = 50

/**
 * Positions of the questions that can be asked together.
 *
 * No two about one resource id: engines exist that answer all of those by the properties of the first one (Cerbos),
 * so that a debit would be decided as the credit beside it.
 */
export const batchesOf = (requests: readonly AccessRequest[]): readonly (readonly number[])[] => {
  const batches: { readonly ids: Set<string>; readonly positions: number[] }[] = []
  for (const [position, { resource }] of requests.entries()) {
    let batch = batches.find(
      ({ ids, positions }) => !ids.has(resource.id) && positions.length < MOST_TOGETHER,
    )
    if (batch === undefined) {
      batch = { ids: new Set(), positions: [] }
      batches.push(batch)
    }
    batch.ids.add(resource.id)
    batch.positions.push(position)
  }
  return batches.map(({ positions }) => positions)
}
