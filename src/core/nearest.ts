const MAX_LENGTH = 64

const editDistance = (left: string, right: string): number => {
  let beforePrevious: number[] = []
  let previous = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (let row = 1; row <= left.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= right.length; column += 1) {
      const cost = left[row - 1] === right[column - 1] ? 0 : 1
      let best = Math.min(
        (previous[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (previous[column - 1] ?? 0) + cost,
      )
      const swapped = left[row - 1] === right[column - 2] && left[row - 2] === right[column - 1]
      if (row > 1 && column > 1 && swapped) best = Math.min(best, (beforePrevious[column - 2] ?? 0) + 1)
      current.push(best)
    }
    beforePrevious = previous
    previous = current
  }
  return previous[right.length] ?? 0
}

const normalise = (name: string): string => name.toLowerCase().replaceAll(/[-_. ]/g, '')

/**
 * The valid name that somebody most likely meant, or null when none is close.
 *
 * Close is at most a third of the letters, where an insertion, a deletion, a replacement and a swap of
 * neighbours count one each; letter case and separators count nothing.
 */
export const nearest = (name: string, valid: Iterable<string>): string | null => {
  if (name.length > MAX_LENGTH) return null
  const wanted = normalise(name)
  let best: string | null = null
  let bestDistance = Number.POSITIVE_INFINITY
  for (const candidate of valid) {
    if (candidate.length > MAX_LENGTH) continue
    const other = normalise(candidate)
    const limit = Math.max(1, Math.floor(Math.max(wanted.length, other.length) / 3))
    if (Math.abs(wanted.length - other.length) > limit) continue
    const distance = editDistance(wanted, other)
    if (distance <= limit && distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** `; did you mean "x"?`, or nothing when no valid name is close. */
export const didYouMean = (name: string, valid: Iterable<string>): string => {
  const meant = nearest(name, valid)
  return meant === null ? '' : `; did you mean ${JSON.stringify(meant)}?`
}
