import { isUtf8 } from 'node:buffer'
import { type Alias, isAlias, isMap, isScalar, isSeq, type Node, parseAllDocuments } from 'yaml'
import type { Finding, Problem } from '../core/problem.ts'
import { plainValue, UNREADABLE } from './yaml/plain-value.ts'
import { scalarOffset } from './yaml/scalar-offset.ts'
import { syntaxProblems, type TextProblem } from './yaml/syntax-errors.ts'
import { type TextPosition, textPositions } from './yaml/text-position.ts'

/** What is asked of a place; a `Problem` fits. */
export type Place = Pick<Problem, 'path' | 'atKey' | 'offset'>

/** A YAML file as plain values, which still knows where each of them is written. */
export interface YamlSource {
  readonly file: string
  readonly value: unknown
  /** The place of a value; when it does not exist, the place of what should have held it. */
  readonly locate: (place: Place) => TextPosition
  /** Reports a mistake at its place in this file. */
  readonly report: (problem: Problem) => void
}

type Report = (finding: Finding) => void

const BOM = '\ufeff'

const firstInvalidByte = (bytes: Buffer): number => {
  // The longest valid start: every shorter one is valid too, but for a character that is cut.
  let low = 0
  let high = bytes.length
  const validUpTo = (end: number): boolean => {
    for (let cut = 0; cut < 4 && cut <= end; cut += 1) if (isUtf8(bytes.subarray(0, end - cut))) return true
    return false
  }
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (validUpTo(middle)) low = middle
    else high = middle - 1
  }
  while (low > 0 && !isUtf8(bytes.subarray(0, low))) low -= 1
  return low
}

/** The text and no problem, or the problem and the text up to it. */
const decode = (bytes: Buffer): { readonly text: string; readonly problem: TextProblem | null } => {
  if (!isUtf8(bytes)) {
    const text = bytes.subarray(0, firstInvalidByte(bytes)).toString('utf8')
    const message = 'found a byte that is not UTF-8, expected the file to be UTF-8 text'
    return { text, problem: { offset: text.length, rule: 'yaml', message } }
  }
  const raw = bytes.toString('utf8')
  const text = raw.startsWith(BOM) ? raw.slice(1) : raw
  const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.exec(text)
  if (control === null) return { text, problem: null }
  const code = control[0].charCodeAt(0)
  const name =
    code === 0 ? 'a NUL character' : `the control character U+${code.toString(16).padStart(4, '0')}`
  const problem = { offset: control.index, rule: 'yaml', message: `found ${name}, expected text` }
  return { text, problem }
}

interface Found {
  readonly key: Node | null
  /** Null when there is nothing at that path. */
  readonly node: Node | null
}

const findNode = (root: Node | null, targets: ReadonlyMap<Alias, Node>, path: Problem['path']): Found => {
  let node = root
  // What to point at when the path ends early: the innermost thing that exists.
  let key: Node | null = null
  for (const segment of path) {
    const holder: Node | null = isAlias(node) ? (targets.get(node) ?? null) : node
    let next: Found | null = null
    if (isMap<Node, Node | null>(holder)) {
      const pair = holder.items.find((item) => isScalar(item.key) && item.key.value === segment)
      if (pair !== undefined) next = { key: pair.key, node: pair.value }
    } else if (isSeq<Node>(holder) && typeof segment === 'number') {
      const item = holder.items[segment]
      if (item !== undefined) next = { key: item, node: item }
    }
    if (next === null) return { key: key ?? root, node: null }
    key = next.key
    node = next.node
  }
  return { key: key ?? root, node }
}

const isWritten = (node: Node | null): node is Node =>
  node !== null && !(isScalar(node) && node.value === null && node.range?.[0] === node.range?.[1])

const sourceOf = (
  file: string,
  text: string,
  at: (offset: number) => TextPosition,
  tree: { readonly root: Node | null; readonly targets: ReadonlyMap<Alias, Node>; readonly value: unknown },
  report: Report,
): YamlSource => {
  const locate = ({ path, atKey, offset }: Place): TextPosition => {
    const found = findNode(tree.root, tree.targets, path)
    if (atKey === true || !isWritten(found.node)) return at(found.key?.range?.[0] ?? 0)
    if (offset !== undefined) {
      const node = isAlias(found.node) ? tree.targets.get(found.node) : found.node
      if (isScalar(node)) return at(scalarOffset(text, node, offset))
    }
    return at(found.node.range?.[0] ?? 0)
  }
  return {
    file,
    value: tree.value,
    locate,
    report: (problem) => {
      const { line, column } = locate(problem)
      const { rule = 'invalid', severity = 'error', message } = problem
      report({ severity, rule, file, line, column, message })
    },
  }
}

/**
 * Reads one YAML 1.2 document (JSON is YAML) as a configuration file.
 *
 * Refuses, each at its place: several documents, custom tags, merge keys, duplicate and other than string
 * keys, tabs as indentation, NUL and control characters, aliases that multiply, a file without a map at the
 * top. A byte order mark at the start and CR LF are fine.
 *
 * @returns null when the text cannot be read at all; a value when mistakes were found in a text that can.
 */
export const readYamlSource = (file: string, bytes: Buffer, report: Report): YamlSource | null => {
  const { text, problem } = decode(bytes)
  const at = textPositions(text)
  const reportText = ({ offset, rule, message }: TextProblem): void => {
    report({ severity: 'error', rule, file, ...at(offset), message })
  }
  if (problem !== null) {
    reportText(problem)
    return null
  }
  const parsed = parseAllDocuments(text, {
    version: '1.2',
    schema: 'core',
    merge: false,
    uniqueKeys: false,
    resolveKnownTags: false,
    prettyErrors: false,
    logLevel: 'silent',
  })
  const [document, second] = Array.isArray(parsed) ? parsed : []
  if (document === undefined) {
    reportText({ offset: 0, rule: 'yaml', message: 'found an empty file, expected a map of keys' })
    return null
  }
  const problems = syntaxProblems(document, text)
  problems.forEach(reportText)
  if (second !== undefined && problems.length === 0) {
    const message = 'found a second YAML document, expected one document a file'
    reportText({ offset: second.range[0], rule: 'yaml', message })
    return null
  }
  if (document.errors.length > 0) return null
  if (document.directives?.yaml.version === '1.1') {
    const message = 'found a %YAML directive of another version, expected none, or %YAML 1.2'
    reportText({ offset: Math.max(0, text.indexOf('%YAML')), rule: 'yaml', message })
  }
  const root = document.contents
  const { value, targets } = plainValue(root, (offset) => at(offset).line, reportText)
  if (value === UNREADABLE) return null
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const found = Array.isArray(value) ? 'a list' : value === null ? 'nothing' : 'a single value'
    const offset = value === null ? 0 : (root?.range[0] ?? 0)
    reportText({ offset, rule: 'yaml', message: `found ${found} at the top, expected a map of keys` })
    return null
  }
  return sourceOf(file, text, at, { root, targets, value }, report)
}
