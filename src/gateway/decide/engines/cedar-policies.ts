import { basename, dirname, relative, sep } from 'node:path'
import {
  type PolicyJson,
  policySetTextToParts,
  policyToJson,
  templateToJson,
} from '@cedar-policy/cedar-wasm/nodejs'
import {
  cedarFindings,
  decodeSource,
  type FindingKind,
  findingAt,
  type Piece,
  type Report,
  type SourceFile,
  wholePiece,
} from './cedar-findings.ts'

/** One policy, as Cedar reads it. */
export interface CedarPolicy {
  /** Its `@id`, else the file's name and its place in the file, such as `bank.cedar#2`; of a link that which it has there. */
  readonly id: string
  readonly effect: PolicyJson['effect']
  /** As it is written; of a link the link. */
  readonly text: string
  readonly json: PolicyJson
  readonly piece: Piece
  /** Its `@advice`, which goes into the decisions that it determines. */
  readonly advice: string | null
  /** Its `@ttl`: how long an allow that it determines may be kept. */
  readonly ttlMs: number | null
  /** The id of the template that it is a link of; null: it is written out. */
  readonly template: string | null
}

const PARSE: FindingKind = { rule: 'cedar-parse', severity: 'error' }
const BAD_ID: FindingKind = { rule: 'cedar-id', severity: 'error' }
const BAD_TTL: FindingKind = { rule: 'cedar-ttl', severity: 'error' }
const DUPLICATE_ID: FindingKind = { rule: 'cedar-duplicate-id', severity: 'error' }

/** Names that do not depend on where the files are: paths below the directory that all are in. */
export const relativeNames = (paths: readonly string[]): ReadonlyMap<string, string> => {
  const [first] = paths
  if (first === undefined) return new Map()
  let root = dirname(first)
  while (!paths.every((path) => root === dirname(root) || path.startsWith(root + sep))) root = dirname(root)
  return new Map(paths.map((path) => [path, relative(root, path).replaceAll(sep, '/')]))
}

/** Where an id is written. */
export interface IdPlace {
  readonly piece: Piece
  readonly at: number
}

export interface ReadPolicies {
  readonly policies: readonly CedarPolicy[]
  /** Policies with slots, which decide nothing by themselves. */
  readonly templates: readonly CedarPolicy[]
  /** Every id that is used. */
  readonly taken: ReadonlyMap<string, IdPlace>
}

/**
 * Every policy and template of the files, in order; what does not parse, or has an id that is taken, is reported at its
 * place.
 */
export const readPolicies = (files: readonly SourceFile[], report: Report): ReadPolicies => {
  const names = relativeNames(files.map((file) => file.path))
  const bases = files.map((file) => basename(file.path))
  const taken = new Map<string, IdPlace>()
  const read = files.flatMap((file) => {
    const base = basename(file.path)
    const alone = bases.filter((other) => other === base).length === 1
    const name = alone ? base : (names.get(file.path) ?? base)
    return readPolicyFile(file, report).map(({ idAt, written, ...policy }, index) => {
      const derived = `${name}#${index + 1}`
      const id = written ?? derived
      const at = idAt ?? policy.piece.start
      const earlier = taken.get(id)
      taken.set(id, earlier ?? { piece: policy.piece, at })
      if (earlier === undefined) return { ...policy, id }
      report(findingAt(policy.piece, at, DUPLICATE_ID, duplicateMessage(id, policy.piece.file, earlier)))
      // Keeps the policy among those that are validated.
      return { ...policy, id: derived }
    })
  })
  const of = (wanted: boolean): readonly CedarPolicy[] =>
    read.flatMap(({ isTemplate, ...policy }) => (isTemplate === wanted ? [policy] : []))
  return { policies: of(false), templates: of(true), taken }
}

export const duplicateMessage = (id: string, file: string, earlier: IdPlace): string => {
  const { line, column } = findingAt(earlier.piece, earlier.at, DUPLICATE_ID, '')
  const where = relative(dirname(file), earlier.piece.file)
  return `found the policy id ${JSON.stringify(id)} a second time, it is first at ${where}:${line}:${column}`
}

interface ReadPolicy extends Omit<CedarPolicy, 'id'> {
  readonly idAt: number | null
  readonly written: string | null
  readonly isTemplate: boolean
}

const readPolicyFile = (file: SourceFile, report: Report): readonly ReadPolicy[] => {
  const whole = decodeSource(file, PARSE.rule, report)
  if (whole === null) return []
  const parts = policySetTextToParts(whole)
  if (parts.type === 'failure') {
    cedarFindings(parts.errors, wholePiece(file.path, whole), PARSE).forEach(report)
    return []
  }
  const statements = splitPolicies(whole)
  if (statements.length !== parts.policies.length + parts.policy_templates.length) {
    throw new Error(`the policies of ${file.path} were split otherwise than Cedar reads them`)
  }
  const templates = new Set(parts.policy_templates)
  return statements.flatMap(({ start, text, idAt }) => {
    const isTemplate = templates.has(text)
    return readPolicy({ file: file.path, whole, start, text }, idAt, isTemplate, report)
  })
}

const readPolicy = (
  piece: Piece,
  idAt: number | null,
  isTemplate: boolean,
  report: Report,
): readonly ReadPolicy[] => {
  const parsed = isTemplate ? templateToJson(piece.text) : policyToJson(piece.text)
  if (parsed.type === 'failure') {
    cedarFindings(parsed.errors, piece, PARSE).forEach(report)
    return []
  }
  const { json } = parsed
  const written = json.annotations?.id
  // Cedar gives null for an annotation without a value, which its types do not say.
  if (idAt !== null && (typeof written !== 'string' || written === '')) {
    report(findingAt(piece, idAt, BAD_ID, 'found an @id without a value, expected @id("…")'))
  }
  const { advice = null, ttl = null } = json.annotations ?? {}
  const ttlMs = ttl === null ? null : ttlOf(ttl)
  if (ttl !== null && ttlMs === null) {
    report(
      findingAt(
        piece,
        piece.start,
        BAD_TTL,
        'found an @ttl that is no duration, expected such as @ttl("15s")',
      ),
    )
  }
  const named = { idAt, written: written || null, isTemplate, template: null }
  return [{ effect: json.effect, text: piece.text, json, piece, advice: advice || null, ttlMs, ...named }]
}

const DURATION = /^(\d{1,9})(ms|s|m|h)$/
const UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
])

const ttlOf = (text: string): number | null => {
  const [, amount, unit] = DURATION.exec(text) ?? []
  return amount === undefined ? null : Number(amount) * (UNITS_MS.get(unit ?? '') ?? 0)
}

interface Statement {
  readonly start: number
  readonly text: string
  /** Where its `@id` is written, if it has one. */
  readonly idAt: number | null
}

// Comments and strings are the only places where a `;` does not end a policy.
const TOKEN = /\/\/[^\n\r]*|"(?:\\.|[^"\\])*"|[A-Za-z_][A-Za-z0-9_]*|[^\s\u0085]/gsu

/** The policies of a text that parses, in the order in which they are written. */
const splitPolicies = (whole: string): readonly Statement[] => {
  const statements: Statement[] = []
  let start: number | null = null
  let idAt: number | null = null
  let at: number | null = null
  for (const { 0: token, index } of whole.matchAll(TOKEN)) {
    if (token.startsWith('//')) continue
    start ??= index
    if (at !== null && token === 'id') idAt ??= at
    at = token === '@' ? index : null
    if (token !== ';') continue
    statements.push({ start, text: whole.slice(start, index + 1), idAt })
    start = null
    idAt = null
  }
  return statements
}
