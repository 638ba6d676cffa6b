/** A path of an OpenAPI document as a path template. */
export interface ImportedPath {
  readonly template: string
  readonly segments: readonly ImportedSegment[]
  /** The same for templates that fit the same requests. */
  readonly key: string
}

export type ImportedSegment =
  | { readonly kind: 'literal'; readonly text: string }
  /** `parameters` are the names in the document, in order; `capture` is the one in the template. */
  | {
      readonly kind: 'capture'
      readonly capture: string
      readonly parameters: readonly string[]
      readonly written: string
    }

const PARAMETER = /\{([^{}]*)\}/g

/** Reads a path such as `/reports/{report-id}.{format}`; null for one that no template can say. */
export const importPath = (path: string): ImportedPath | null => {
  if (!path.startsWith('/') || /[?#\\;]/.test(path)) return null
  const names = new Set<string>()
  const segments: ImportedSegment[] = []
  const written = path.split('/').slice(1)
  // One trailing slash is ignored when requests are matched.
  if (written.length > 1 && written.at(-1) === '') written.pop()
  for (const segment of written) {
    const imported = importSegment(segment, names)
    if (imported === null) return null
    segments.push(imported)
  }
  const template = `/${segments.map(templateOf).join('/')}`
  const key = segments
    .map((each) => (each.kind === 'literal' ? each.text : patternOf(each) || '{}'))
    .join('/')
  return { template, segments, key }
}

const importSegment = (segment: string, names: Set<string>): ImportedSegment | null => {
  const parameters = [...segment.matchAll(PARAMETER)].map(([, name = '']) => name)
  if (parameters.length === 0) {
    if (/[{}]/.test(segment) || segment === '.' || segment === '..') return null
    return { kind: 'literal', text: canonical(segment) }
  }
  if (segment.replaceAll(PARAMETER, '').includes('{')) return null
  const capture = uniqueName(identifier(parameters.join(' and ')), names)
  return { kind: 'capture', capture, parameters, written: segment }
}

const canonical = (text: string): string => {
  try {
    return encodeURIComponent(decodeURIComponent(text)).replaceAll(/%(3A|40|24|2C|2B|3D|26)/g, (escaped) =>
      decodeURIComponent(escaped),
    )
  } catch {
    return encodeURIComponent(text)
  }
}

/** Empty when the whole segment is the capture. */
const patternOf = ({ parameters, written }: Extract<ImportedSegment, { kind: 'capture' }>): string => {
  if (parameters.length === 1 && written === `{${parameters[0]}}`) return ''
  const parts = written.split(PARAMETER)
  return parts
    .map((part, index) => {
      if (index % 2 === 0) return part.replaceAll(SPECIAL, '\\$&')
      const [next = ''] = parts[index + 1] ?? ''
      // A value ends where the literal behind it begins, so that there is one way only to match.
      return next === '' ? '.+' : `[^${next.replaceAll(SPECIAL, '\\$&')}]+`
    })
    .join('')
}

const SPECIAL = /[\\^$.*+?()[\]|-]/g

const templateOf = (segment: ImportedSegment): string => {
  if (segment.kind === 'literal') return segment.text
  const pattern = patternOf(segment)
  return pattern === '' ? `{${segment.capture}}` : `{${segment.capture}:${pattern}}`
}

/** No expression can name these. @see https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax */
const RESERVED: ReadonlySet<string> = new Set(
  'true false null in as break const continue else for function if import let loop package namespace return var void while constructor prototype'.split(
    ' ',
  ),
)

/** `report-id` as `reportId`. */
export const identifier = (name: string): string => {
  const words = name.split(/[^A-Za-z0-9]+/).filter(Boolean)
  const joined = words
    .map((word, index) => (index === 0 ? word : word.charAt(0).toUpperCase() + word.slice(1)))
    .join('')
  if (RESERVED.has(joined)) return `${joined}Value`
  return /^[A-Za-z]/.test(joined) ? joined : `p${joined}`
}

/** The same name, or the first of `name2`, `name3` … that is free; it is taken from then on. */
export const uniqueName = (name: string, taken: Set<string>): string => {
  let unique = name
  for (let number = 2; taken.has(unique); number += 1) unique = `${name}${number}`
  taken.add(unique)
  return unique
}

/** The path with a value for each parameter. */
export const fillPath = (
  { segments }: ImportedPath,
  valueFor: (parameter: string) => string,
): { readonly path: string; readonly captured: ReadonlyMap<string, string> } => {
  const captured = new Map<string, string>()
  const filled = segments.map((segment) => {
    if (segment.kind === 'literal') return segment.text
    const value = segment.written.replaceAll(PARAMETER, (_whole, name: string) => valueFor(name))
    captured.set(segment.capture, value)
    return encodeURIComponent(value)
  })
  return { path: `/${filled.join('/')}`, captured }
}
