let second = Number.NaN
let untilSecond = ''

/**
 * A time as `Date.prototype.toISOString` writes it: RFC 3339, UTC, milliseconds. The text of a second is made once.
 *
 * @param atMs milliseconds since the epoch. @throws RangeError when that is no time.
 */
export const isoTime = (atMs: number): string => {
  const inSecond = Math.floor(atMs / 1000)
  if (inSecond !== second) {
    untilSecond = new Date(inSecond * 1000).toISOString().slice(0, -'000Z'.length)
    second = inSecond
  }
  const restMs = Math.floor(atMs) - inSecond * 1000
  return `${untilSecond}${restMs < 100 ? (restMs < 10 ? '00' : '0') : ''}${restMs}Z`
}
