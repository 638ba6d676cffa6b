import { canonicalPath, isNotCanonical, type PathNeeds, segmentValue } from './canonical-target.ts'

export type TemplateSegment =
  /** `text` is decoded, as `segmentValue` does. */
  | { readonly kind: 'literal'; readonly text: string; readonly needs: PathNeeds }
  | { readonly kind: 'name'; readonly name: string }
  /** `{name:pattern}`; `offset` is where the pattern starts in the template. */
  | { readonly kind: 'pattern'; readonly name: string; readonly pattern: string; readonly offset: number }
  /** `{*name}`, the last one only. */
  | { readonly kind: 'rest'; readonly name: string }

export interface PathTemplate {
  readonly segments: readonly TemplateSegment[]
  /** Names of the captures, in order. */
  readonly captures: readonly string[]
  /** What its literals need of the route. */
  readonly needs: PathNeeds
}

export interface TemplateMistake {
  readonly mistake: string
  /** Characters from the start of the template. */
  readonly offset: number
}

export const isTemplateMistake = (value: object): value is TemplateMistake => 'mistake' in value

const NAME = /^[A-Za-z_][A-Za-z0-9_]*$/

/**
 * Reads a path template: literals, `{name}`, `{name:regex}`, and `{*rest}` at the end.
 *
 * One trailing slash is ignored. Literals are made canonical like the paths of requests; those that have no
 * canonical form are mistakes. Does not check: that patterns compile, or end in time.
 */
export const parsePathTemplate = (template: string): PathTemplate | TemplateMistake => {
  if (!template.startsWith('/')) return { mistake: 'a path template starts with a slash', offset: 0 }
  const pieces = splitTemplate(template)
  if (isTemplateMistake(pieces)) return pieces
  const segments: TemplateSegment[] = []
  const captures: string[] = []
  let needs: PathNeeds = { encodedSlash: false, pathParameters: false }
  for (const [index, { text, offset }] of pieces.entries()) {
    const segment = text.includes('{') ? parseCapture(text, offset) : parseLiteral(text, offset)
    if (isTemplateMistake(segment)) return segment
    segments.push(segment)
    if (segment.kind === 'literal') {
      needs = {
        encodedSlash: needs.encodedSlash || segment.needs.encodedSlash,
        pathParameters: needs.pathParameters || segment.needs.pathParameters,
      }
      continue
    }
    if (segment.kind === 'rest' && index !== pieces.length - 1) {
      return { mistake: `{*${segment.name}} is the whole tail, expected it at the end`, offset }
    }
    if (captures.includes(segment.name)) {
      return { mistake: `the capture ${JSON.stringify(segment.name)} is there twice`, offset }
    }
    captures.push(segment.name)
  }
  return { segments, captures, needs }
}

/** Names of the captures of a template, in order; none of one with a mistake. */
export const templateCaptures = (template: string): readonly string[] => {
  const parsed = parsePathTemplate(template)
  return isTemplateMistake(parsed) ? [] : parsed.captures
}

interface Piece {
  readonly text: string
  readonly offset: number
}

/** Cuts at the slashes that are outside of braces; one trailing slash makes no piece. */
const splitTemplate = (template: string): readonly Piece[] | TemplateMistake => {
  const pieces: Piece[] = []
  let start = 1
  while (start < template.length) {
    const end = pieceEnd(template, start)
    if (typeof end !== 'number') return end
    if (end === start) return { mistake: 'an empty path segment', offset: start }
    pieces.push({ text: template.slice(start, end), offset: start })
    start = end + 1
  }
  return pieces
}

const pieceEnd = (template: string, start: number): number | TemplateMistake => {
  let open = -1
  let depth = 0
  let inClass = false
  for (let index = start; index < template.length; index += 1) {
    const character = template[index]
    // Inside of a pattern, braces and brackets may be escaped, or stand in a class.
    if (depth > 0 && character === '\\') index += 1
    else if (inClass) inClass = character !== ']'
    else if (depth > 0 && character === '[') inClass = true
    else if (character === '{') {
      if (depth === 0) open = index
      depth += 1
    } else if (character === '}') {
      if (depth === 0) return { mistake: 'a } without its {', offset: index }
      depth -= 1
    } else if (character === '/' && depth === 0) return index
  }
  return depth === 0 ? template.length : { mistake: 'a { without its }', offset: open }
}

const isWholeCapture = (text: string): boolean => {
  if (!text.startsWith('{') || !text.endsWith('}')) return false
  // Without its last character, exactly the first brace is left open.
  const unclosed = pieceEnd(text.slice(0, -1), 0)
  return typeof unclosed !== 'number' && unclosed.offset === 0
}

const parseCapture = (text: string, offset: number): TemplateSegment | TemplateMistake => {
  if (!isWholeCapture(text)) {
    return { mistake: `a capture is a whole segment, found ${JSON.stringify(text)}`, offset }
  }
  const inner = text.slice(1, -1)
  const colon = inner.indexOf(':')
  const rest = inner.startsWith('*')
  const name = inner.slice(rest ? 1 : 0, colon === -1 ? undefined : colon)
  if (!NAME.test(name) || name === '__proto__') {
    const expected = 'expected letters, digits and _, not starting with a digit'
    return { mistake: `${JSON.stringify(name)} cannot be the name of a capture, ${expected}`, offset }
  }
  if (colon === -1) return rest ? { kind: 'rest', name } : { kind: 'name', name }
  if (rest) return { mistake: `{*${name}} takes no pattern`, offset }
  const pattern = inner.slice(colon + 1)
  if (pattern === '') return { mistake: `the pattern of {${name}:} is empty`, offset }
  if (pattern.includes('/')) {
    return { mistake: 'a pattern is for one segment, expected no slash in it', offset }
  }
  return { kind: 'pattern', name, pattern, offset: offset + 1 + colon + 1 }
}

const parseLiteral = (text: string, offset: number): TemplateSegment | TemplateMistake => {
  if (text === '*' || text === '**') {
    return {
      mistake: `${text} is no wildcard, expected {name} for a segment or {*rest} for the tail`,
      offset,
    }
  }
  if (text.includes('?')) return { mistake: 'a path has no query, expected it in query:', offset }
  const path = canonicalPath(`/${text}`)
  if (isNotCanonical(path)) return { mistake: `${path.reason} is never in a canonical path`, offset }
  return { kind: 'literal', text: segmentValue(path.path.slice(1)), needs: path.needs }
}
