import { type ASTNode, EvaluationError, type ParseResult } from '@marcbachmann/cel-js'
import type { JsonValue } from '../../core/json.ts'
import type { Problem } from '../../core/problem.ts'
import { analyse, type DirectRead, rootOfChain, rootsIn, type Visible } from './analyse.ts'
import { CEL } from './cel.ts'
import { celContextOf } from './cel-context.ts'
import { ABSENT, fromCel, isUsableJson, UNUSABLE } from './cel-values.ts'
import { encodeCapture, encodeSegment } from './percent-encode.ts'
import { blame, type Read, readValue } from './reads.ts'
import { fail, type Scope } from './scope.ts'

export interface Expression {
  readonly reads: readonly Read[]
  /** CEL's name of the result's type, such as `string`, `dyn` or `optional<dyn>`. */
  readonly type: string
  /** The value; undefined when the field is to be left out, or when `scope.failure` says why there is none. */
  readonly evaluate: (scope: Scope) => JsonValue | undefined
}

/**
 * Compiles a `$` expression, or reports what is wrong with it at its very character.
 *
 * What only reads one place is read without CEL; the results are the same.
 *
 * @param text starts with `$`.
 */
export const compileExpression = (
  text: string,
  at: Problem['path'],
  visible: Visible,
  report: (problem: Problem) => void,
): Expression | null => {
  // One character for the `$`.
  const reportAt = (position: number, message: string, rule: string): null => {
    report({ path: at, message, rule, offset: position + 1 })
    return null
  }
  const parsed = parse(text.slice(1))
  if ('summary' in parsed) return reportAt(parsed.position, parsed.summary, 'expression')
  const { reads, direct, mistakes } = analyse(parsed.ast, visible)
  for (const { position, message, rule } of mistakes) reportAt(position, message, rule)
  if (mistakes.length > 0) return null
  const checked = parsed.check()
  if (!checked.valid || checked.type === undefined) {
    return reportAt(checked.error?.range?.start ?? 0, checked.error?.summary ?? 'not valid', 'expression')
  }
  const place = at.join('.')
  const evaluate =
    direct === null
      ? evaluateByCel(parsed, reads, visible, place)
      : evaluateDirectly(direct, visible.place === 'rewrite', place)
  return { reads, type: checked.type, evaluate }
}

const parse = (source: string): ParseResult | { readonly summary: string; readonly position: number } => {
  try {
    return CEL.parse(source)
  } catch (error) {
    if (!(error instanceof Error) || !('summary' in error) || typeof error.summary !== 'string') throw error
    return { summary: error.summary, position: positionOf(error, source) }
  }
}

const positionOf = (error: Error & { readonly range?: unknown }, source: string): number => {
  const { range } = error
  const hasStart = typeof range === 'object' && range !== null && 'start' in range
  const start = hasStart && typeof range.start === 'number' ? range.start : 0
  return Math.min(start, source.length)
}

const evaluateDirectly = (
  { read, optional, base }: DirectRead,
  encoded: boolean,
  place: string,
): Expression['evaluate'] => {
  const code = blame([read.root])
  const encode = encoded ? encoderOf(read) : null
  return (scope) => {
    const value = readValue(scope, read)
    // Null is no value: AuthZEN leaves null properties out, and a rule that wants one must not be passed by it.
    if (value === undefined || value === null) {
      const missing = optional ? base : read
      const isMissing = missing !== null && (missing === read || readValue(scope, missing) === undefined)
      return isMissing ? fail(scope, code, `${place}: ${missing.label} is missing`) : undefined
    }
    if (!isUsableJson(value)) {
      return fail(scope, code, `${place}: ${read.label} holds a number or text that cannot be sent`)
    }
    return encode !== null && typeof value === 'string' ? encode(value) : value
  }
}

const encoderOf = (read: Read): ((text: string) => string) | null => {
  if (read.root === 'path') return encodeCapture
  const key = read.keys[0]
  if (read.root === 'request')
    return key === 'query' || key === 'headers' || key === 'posture' ? encodeSegment : null
  return read.root === 'route' ? null : encodeSegment
}

const evaluateByCel = (
  expression: ParseResult,
  reads: readonly Read[],
  visible: Visible,
  place: string,
): Expression['evaluate'] => {
  const code = blame(reads.map((read) => read.root))
  const encoded = visible.place === 'rewrite'
  return (scope) => {
    let result: unknown
    try {
      result = expression(celContextOf(scope, encoded))
    } catch (error) {
      return failAt(scope, error, code, visible, place)
    }
    const value = fromCel(result)
    if (value === ABSENT) return undefined
    if (value === UNUSABLE) return fail(scope, code, `${place}: the result cannot be sent`)
    if (value !== null) return value
    return result === null ? fail(scope, code, `${place}: the result is null`) : undefined
  }
}

const failAt = (
  scope: Scope,
  error: unknown,
  code: 'bad_request' | 'denied',
  visible: Visible,
  place: string,
): undefined => {
  if (!(error instanceof EvaluationError)) return fail(scope, code, `${place}: the expression failed`)
  const node = error.node
  const where = `${place}: ${error.code} at character ${(error.range?.start ?? 0) + 1}`
  return fail(scope, node === undefined ? code : blameNode(node, visible, code), where)
}

/** What was missing tells who is to blame; of other failures, whatever took part in them. */
const blameNode = (
  node: ASTNode,
  visible: Visible,
  otherwise: 'bad_request' | 'denied',
): 'bad_request' | 'denied' => {
  if (node.op === '.' || node.op === '[]') {
    const root = rootOfChain(node)
    if (root !== null) return blame([root])
  }
  const roots = rootsIn(node, visible)
  return roots.length === 0 ? otherwise : blame(roots)
}
