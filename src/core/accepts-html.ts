/**
 * True when a caller would rather have a page than JSON, as browsers would.
 *
 * @param accept the `Accept` field, several joined by a comma; null when there is none.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-12.5.1
 */
export const prefersHtml = (accept: string | null): boolean => {
  if (accept === null || !accept.toLowerCase().includes('html')) return false
  const ranges = accept.split(',').map(parseRange)
  const html = quality(ranges, ['text/html', 'text/*', '*/*'])
  const problem = quality(ranges, ['application/problem+json', 'application/json', 'application/*', '*/*'])
  return html > problem
}

interface Range {
  readonly type: string
  readonly quality: number
}

const parseRange = (text: string): Range => {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase())
  const given = parameters.find((parameter) => parameter.startsWith('q='))
  const quality = given === undefined ? 1 : Number(given.slice(2))
  return { type, quality: quality >= 0 && quality <= 1 ? quality : 0 }
}

/** The quality of the most specific range that is there. */
const quality = (ranges: readonly Range[], types: readonly string[]): number => {
  for (const type of types) {
    const range = ranges.find((candidate) => candidate.type === type)
    if (range !== undefined) return range.quality
  }
  return 0
}
