const MOST_UNSURE = 1000

/** What may be in a feed although nobody could be told so, by id, each with how to record it when it is seen there. */
export type Unsure = Map<string, () => void>

/** Remembers one more; the oldest of more than 1000 is forgotten. */
export const addUnsure = (unsure: Unsure, id: string, record: () => void): void => {
  const [oldest] = unsure.size < MOST_UNSURE ? [] : unsure.keys()
  if (oldest !== undefined) unsure.delete(oldest)
  unsure.set(id, record)
}

/** Records what was not sure until now, when it was seen in the feed. */
export const recordIfUnsure = (unsure: Unsure, id: string): void => {
  const record = unsure.get(id)
  unsure.delete(id)
  record?.()
}
