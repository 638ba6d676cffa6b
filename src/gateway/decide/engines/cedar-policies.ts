import { basename, dirname, relative, sep } from 'node:path'
import {
  type PolicyJson,
  policySetTextToParts,
  policyToJson,
  type Schema,
  validate,
} from '@cedar-policy/cedar-wasm/nodejs'
import type { Finding } from '../../../core/problem.ts'
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

/** One static policy, as Cedar reads it. */
export interface CedarPolicy {
  /** Its `@id`, else the file's name and its place in the file, such as `bank.cedar#2`. */
  readonly id: string
  readonly effect: PolicyJson['effect']
  readonly text: string
  readonly json: PolicyJson
  readonly piece: Piece
  /** Its `@advice`, which goes into the decisions that it determines. */
  readonly advice: string | null
  /** Its `@ttl`: how long an allow that it determines may be kept. */
  readonly ttlMs: number | null
}

const PARSE: FindingKind = { rule: 'cedar-parse', severity: 'error' }
const TEMPLATE: FindingKind = { rule: 'cedar-template', severity: 'error' }
const BAD_ID: FindingKind = { rule: 'cedar-id', severity: 'error' }
const BAD_TTL: FindingKind = { rule: 'cedar-ttl', severity: 'error' }
const DUPLICATE_ID: FindingKind = { rule: 'cedar-duplicate-id', severity: 'error' }
const VALIDATE: FindingKind = { rule: 'cedar-validate', severity: 'error' }
const VALIDATE_WARNING: FindingKind = { rule: 'cedar-validate', severity: 'warning' }

/** Names that do not depend on where the files are: paths below the directory that all are in. */
export const relativeNames = (paths: readonly string[]): ReadonlyMap<string, string> => {
  const [first] = paths
  if (first === undefined) return new Map()
  let root = dirname(first)
  while (!paths.every((path) => root === dirname(root) || path.startsWith(root + sep))) root = dirname(root)
  return new Map(paths.map((path) => [path, relative(root, path).replaceAll(sep, '/')]))
}

/**
 * Every policy of the files, in order; what does not parse, is a template, or has an id that is taken is
 * reported at its place.
 */
export const readPolicies = (files: readonly SourceFile[], report: Report): readonly CedarPolicy[] => {
  const names = relativeNames(files.map((file) => file.path))
  const bases = files.map((file) => basename(file.path))
  const taken = new Map<string, { readonly piece: Piece; readonly at: number }>()
  return files.flatMap((file) => {
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
}

const duplicateMessage = (
  id: string,
  file: string,
  earlier: { readonly piece: Piece; readonly at: number },
): string => {
  const { line, column } = findingAt(earlier.piece, earlier.at, DUPLICATE_ID, '')
  const where = relative(dirname(file), earlier.piece.file)
  return `found the policy id ${JSON.stringify(id)} a second time, it is first at ${where}:${line}:${column}`
}

interface ReadPolicy extends Omit<CedarPolicy, 'id'> {
  readonly idAt: number | null
  readonly written: string | null
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
    const piece = { file: file.path, whole, start, text }
    if (templates.has(text)) {
      report(
        findingAt(
          piece,
          start,
          TEMPLATE,
          'found a template, expected a policy without slots: templates are not supported yet',
        ),
      )
      return []
    }
    return readPolicy(piece, idAt, report)
  })
}

const readPolicy = (piece: Piece, idAt: number | null, report: Report): readonly ReadPolicy[] => {
  const parsed = policyToJson(piece.text)
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
  const annotated = { advice: advice || null, ttlMs }
  return [
    { effect: json.effect, text: piece.text, json, piece, idAt, written: written || null, ...annotated },
  ]
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

/** The policies as Cedar wants them, so that its answers name our ids. */
export const policyTexts = (policies: readonly CedarPolicy[]): Record<string, string> =>
  // Not by assignment: an id may be `__proto__`.
  Object.fromEntries(policies.map(({ id, text }) => [id, text]))

/** Reports every policy that does not fit the schema (strict), at its place. */
export const validatePolicies = (policies: readonly CedarPolicy[], schema: Schema, report: Report): void => {
  const answer = validate({ schema, policies: { staticPolicies: policyTexts(policies) } })
  const [first] = policies
  if (answer.type === 'failure') {
    if (first !== undefined)
      cedarFindings(answer.errors, { ...first.piece, text: '' }, VALIDATE).forEach(report)
    return
  }
  const pieces = new Map(policies.map(({ id, piece }) => [id, piece]))
  const files = [...new Set(policies.map(({ piece }) => piece.file))]
  const wrong = new Set(answer.validationErrors.map(({ policyId }) => policyId))
  // A wrong name in a policy also makes it one that never applies: that is told once.
  const warnings = answer.validationWarnings.filter(({ policyId }) => !wrong.has(policyId))
  const findings = [
    ...answer.validationErrors.map((found) => ({ ...found, kind: VALIDATE })),
    ...warnings.map((found) => ({ ...found, kind: VALIDATE_WARNING })),
  ].flatMap(({ policyId, error, kind }) => {
    const piece = pieces.get(policyId)
    return piece === undefined ? [] : cedarFindings([error], piece, kind)
  })
  // Cedar tells them in no order, and some of them twice.
  const place = ({ file, line, column }: Finding): number => (files.indexOf(file) * 1e6 + line) * 1e6 + column
  const different = new Map(findings.map((finding) => [JSON.stringify(finding), finding]))
  for (const finding of [...different.values()].sort((left, right) => place(left) - place(right)))
    report(finding)
}
