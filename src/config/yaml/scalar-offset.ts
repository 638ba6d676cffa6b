import { Scalar } from 'yaml'

const ESCAPE_LENGTHS: Readonly<Record<string, number>> = { x: 4, u: 6, U: 10 }

/** How many characters of text `at` spells one step of the value, and how many characters that is. */
const step = (
  text: string,
  at: number,
  type: Scalar.Type,
): { readonly source: number; readonly value: number } => {
  const char = text[at]
  if (type === Scalar.QUOTE_SINGLE && char === "'" && text[at + 1] === "'") return { source: 2, value: 1 }
  if (type === Scalar.QUOTE_DOUBLE && char === '\\') {
    const next = text[at + 1] ?? ''
    if (next === '\n' || next === '\r') {
      const rest = /^\\\r?\n[ \t]*/.exec(text.slice(at, at + 1024))?.[0].length ?? 2
      return { source: rest, value: 0 }
    }
    const source = ESCAPE_LENGTHS[next] ?? 2
    const value = next === 'U' && Number.parseInt(text.slice(at + 2, at + 10), 16) > 0xffff ? 2 : 1
    return { source, value }
  }
  if (char !== undefined && ' \t\r\n'.includes(char)) {
    const space = /^[ \t\r\n]*/.exec(text.slice(at, at + 4096))?.[0] ?? char
    const breaks = space.split('\n').length - 1
    // One line break is folded into a space; of several, all but the first stay.
    if (breaks > 0) return { source: space.length, value: Math.max(1, breaks - 1) }
  }
  return { source: 1, value: 1 }
}

const flowOffset = (text: string, start: number, type: Scalar.Type, offset: number): number => {
  let at = type === Scalar.PLAIN ? start : start + 1
  let seen = 0
  while (seen < offset && at < text.length) {
    const { source, value } = step(text, at, type)
    if (seen + value > offset) break
    at += source
    seen += value
  }
  return at
}

const blockOffset = (text: string, start: number, value: string, offset: number, folded: boolean): number => {
  const firstLine = text.indexOf('\n', start) + 1
  if (firstLine === 0) return start
  const indent = /^(?:[ ]*\r?\n)*([ ]*)/.exec(text.slice(firstLine))?.[1]?.length ?? 0
  // In a folded scalar line breaks and spaces stand for each other, so count what is neither.
  const isBreak = (char: string | undefined): boolean => char === '\n' || (folded && char === ' ')
  let at = firstLine + indent
  for (let index = 0; index < offset && at < text.length; ) {
    const char = value[index]
    if (char === text[at] && char !== '\n') {
      at += 1
      index += 1
    } else if (isBreak(char) || text[at] === '\n' || text[at] === '\r') {
      while (at < text.length && text[at] !== '\n') at += 1
      at += 1
      while (text[at] === '\n') at += 1
      at += indent
      while (isBreak(value[index]) && index < offset) index += 1
    } else return start
  }
  return at
}

/**
 * Where a character of a scalar's value is written.
 *
 * @param offset characters from the start of the value.
 * @returns an offset in the text.
 */
export const scalarOffset = (text: string, node: Scalar, offset: number): number => {
  const start = node.range?.[0] ?? 0
  const type = node.type ?? Scalar.PLAIN
  if (typeof node.value !== 'string') return start
  if (type === Scalar.BLOCK_LITERAL || type === Scalar.BLOCK_FOLDED) {
    return blockOffset(text, start, node.value, offset, type === Scalar.BLOCK_FOLDED)
  }
  return flowOffset(text, start, type, offset)
}
