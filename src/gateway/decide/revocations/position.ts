/**
 * A place in the revocation feed: `<milliseconds>-<number>`, as Redis Streams count.
 *
 * @see https://redis.io/docs/latest/develop/data-types/streams/#entry-ids
 */
export type Position = string

/** Before the first mark. */
export const START: Position = '0-0'

/** Less than 0 when `left` comes first. */
export const comparePositions = (left: Position, right: Position): number => {
  if (left === right) return 0
  const [leftMs, leftNumber] = parts(left)
  const [rightMs, rightNumber] = parts(right)
  return leftMs === rightMs ? leftNumber - rightNumber : leftMs - rightMs
}

/** The next one, made now; after `last` also when the clock was set back. */
export const nextPosition = (last: Position, nowMs: number): Position => {
  const [lastMs, lastNumber] = parts(last)
  return nowMs > lastMs ? `${nowMs}-0` : `${lastMs}-${lastNumber + 1}`
}

/**
 * One that no other worker makes in the same millisecond; after `position`.
 *
 * Each is less than 200 more than the one before: a number that grew any faster would soon be compared wrongly.
 */
export const positionOf = (position: Position, worker: number): Position => {
  const [ms, number] = parts(position)
  return `${ms}-${(Math.floor(number / MAX_WORKERS) + 1) * MAX_WORKERS + worker}`
}

const MAX_WORKERS = 100

const parts = (position: Position): readonly [number, number] => {
  const dash = position.indexOf('-')
  return [Number(position.slice(0, dash)), Number(position.slice(dash + 1))]
}

/**
 * What is held of the feed at a moment: an epoch of it, and the position up to which its marks were applied.
 *
 * To be kept with what was decided after that, and compared by the feed alone.
 */
export type Held = string

export const heldOf = (epoch: string, position: Position): Held => `${epoch}/${position}`

/** Null: another epoch, of which nothing is known any more. */
export const heldPosition = (epoch: string, held: Held): Position | null =>
  held.length > epoch.length && held.startsWith(epoch) && held[epoch.length] === '/'
    ? held.slice(epoch.length + 1)
    : null

const POSITION = /^(0|[1-9]\d{0,14})-(0|[1-9]\d{0,14})$/

export const isPosition = (text: string): text is Position => POSITION.test(text)
