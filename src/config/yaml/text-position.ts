/** A place in a text; both count from 1, columns in code points. */
export interface TextPosition {
  readonly line: number
  readonly column: number
}

/**
 * Turns offsets (UTF-16 units) of one text into lines and columns.
 *
 * Lines end with LF, or CR LF; columns count code points, as editors do.
 */
export const textPositions = (text: string): ((offset: number) => TextPosition) => {
  let starts: number[] | null = null
  return (offset) => {
    if (starts === null) {
      starts = [0]
      for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) starts.push(at + 1)
    }
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if ((starts[middle] ?? 0) <= offset) low = middle
      else high = middle - 1
    }
    let column = 1
    const start = starts[low] ?? 0
    for (let index = start; index < offset; index += 1) {
      const unit = text.charCodeAt(index)
      const next = text.charCodeAt(index + 1)
      const pair = unit >= 0xd800 && unit <= 0xdbff && next >= 0xdc00 && next <= 0xdfff
      if (pair && index + 1 < offset) index += 1
      column += 1
    }
    return { line: low + 1, column }
  }
}
