/** Of these, the sum over workers says nothing; of gauges with any other name it is what all of them have. */
const LARGEST = /_(?:info|seconds|rejected|max|min|mean|p\d+|stddev|ratio|fresh|max_fds)$/
const SMALLEST: ReadonlySet<string> = new Set([
  'sallyport_ready',
  'sallyport_revocation_feed_fresh',
  'sallyport_upstream_origin_up',
])

type Combine = (left: number, right: number) => number

interface Family {
  /** `HELP` and `TYPE`. */
  readonly comments: string[]
  readonly values: Map<string, number>
  combine: Combine
}

const sum: Combine = (left, right) => left + right

/**
 * Joins the metrics of several processes in Prometheus' text format: counters, histograms and most gauges are summed;
 * of times, ratios and what is 0 or 1, the worst or latest counts.
 *
 * @see https://prometheus.io/docs/instrumenting/exposition_formats/
 */
export const mergeMetrics = (texts: readonly string[]): string => {
  const families = new Map<string, Family>()
  for (const text of texts) addText(families, text)
  return [...families.values()]
    .map(({ comments, values }) =>
      [...comments, ...[...values].map(([sample, value]) => `${sample} ${formatValue(value)}`), ''].join(
        '\n',
      ),
    )
    .join('\n')
}

const addText = (families: Map<string, Family>, text: string): void => {
  let family: Family = { comments: [], values: new Map(), combine: sum }
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) {
      const [, keyword = '', name = '', ...rest] = line.split(' ')
      const known = families.get(name)
      const isNew =
        known === undefined || !known.comments.some((comment) => comment.startsWith(`# ${keyword} `))
      family = known ?? { comments: [], values: new Map(), combine: sum }
      families.set(name, family)
      if (isNew) family.comments.push(line)
      if (keyword === 'TYPE' && rest[0] === 'gauge') family.combine = combinationOf(name)
    } else if (line !== '') addSample(family, line)
  }
}

/** A label may hold blanks; the value is what stands behind the last one. */
const addSample = ({ values, combine }: Family, line: string): void => {
  const end = line.lastIndexOf(' ')
  const sample = line.slice(0, end)
  const value = parseValue(line.slice(end + 1))
  const before = values.get(sample)
  values.set(sample, before === undefined ? value : combine(before, value))
}

const combinationOf = (name: string): Combine => {
  if (SMALLEST.has(name)) return Math.min
  return LARGEST.test(name) ? Math.max : sum
}

const parseValue = (text: string): number => {
  if (text === '+Inf') return Infinity
  return text === '-Inf' ? -Infinity : Number(text)
}

const formatValue = (value: number): string => {
  if (value === Infinity) return '+Inf'
  return value === -Infinity ? '-Inf' : String(value)
}
