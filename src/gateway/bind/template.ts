import type { JsonObject, JsonValue } from '../../core/json.ts'
import type { Problem } from '../../core/problem.ts'
import type { Visible } from './analyse.ts'
import { isUsableJson } from './cel-values.ts'
import { compileExpression, type Expression } from './expression.ts'
import { blame, type Read } from './reads.ts'
import { fail, type Scope } from './scope.ts'

/** A part of a mapping: the same for every request, or made anew from each. */
export interface Template<T> {
  /** What it always is; null when it depends on the request. */
  readonly constant: T | null
  /** Undefined when it is to be left out, or when `scope.failure` says why there is none. */
  readonly render: (scope: Scope) => T | undefined
  readonly reads: readonly Read[]
}

/** What compiling a mapping needs besides the mapping. */
export interface Compilation {
  readonly visible: Visible
  readonly report: (problem: Problem) => void
}

type Path = Problem['path']

/** A template that is always this value. */
export const constant = <T>(value: T): Template<T> => ({ constant: value, render: () => value, reads: [] })

// Stands in for what did not compile; the configuration that it is of is never used.
const nothing: Template<never> = { constant: null, render: () => undefined, reads: [] }

const isExpression = (text: string): boolean => text.startsWith('$') && !text.startsWith('$$')

const unescapeDollar = (text: string): string => (text.startsWith('$$') ? text.slice(1) : text)

/** Any JSON: strings in it that start with `$` are expressions, all else is literal. */
export const compileValue = (value: JsonValue, at: Path, compilation: Compilation): Template<JsonValue> => {
  if (typeof value === 'string' && isExpression(value)) {
    return compileScalar(value, at, compilation, null) ?? nothing
  }
  if (Array.isArray(value)) return compileList(value, at, compilation)
  if (isObject(value)) return compileObject(value, at, compilation)
  if (value === null) return reportAt(compilation, at, 'null has no meaning here; leave the key out')
  const literal = typeof value === 'string' ? unescapeDollar(value) : value
  return isUsableJson(literal) ? constant(literal) : reportAt(compilation, at, 'this value cannot be sent')
}

const isObject = (value: JsonValue): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const reportAt = (compilation: Compilation, at: Path, message: string): Template<never> => {
  compilation.report({ path: at, message, rule: 'mapping' })
  return nothing
}

const compileScalar = (
  text: string,
  at: Path,
  compilation: Compilation,
  types: ReadonlySet<string> | null,
): Template<JsonValue> | null => {
  const expression = compileExpression(text, at, compilation.visible, compilation.report)
  if (expression === null) return null
  const problem = typeProblem(expression, types)
  if (problem !== null) {
    compilation.report({ path: at, message: problem, rule: 'expression', offset: 1 })
    return null
  }
  return { constant: null, render: expression.evaluate, reads: expression.reads }
}

const UNUSABLE_TYPES: ReadonlySet<string> = new Set(['bytes', 'type', 'google.protobuf.Duration'])

const typeProblem = ({ type }: Expression, types: ReadonlySet<string> | null): string | null => {
  const inner = /^optional<(.*)>$/.exec(type)?.[1] ?? type
  if (UNUSABLE_TYPES.has(inner)) return `the result is of type ${inner}, which has no form in JSON`
  // `T` is that of an optional which never has a value.
  if (types === null || types.has(inner) || inner.startsWith('dyn') || inner === 'T') return null
  return `found an expression of type ${inner}, expected ${[...types].join(' or ')}`
}

const TEXT: ReadonlySet<string> = new Set(['string'])
const HEADER: ReadonlySet<string> = new Set(['string', 'bool', 'int', 'double'])

/** The string of a name, a type or an id: never empty, and without NUL. */
export const compileText = (text: string, at: Path, compilation: Compilation): Template<string> => {
  const problemOf = (value: JsonValue): string | null => {
    if (typeof value !== 'string') return 'is not a string'
    if (value === '') return 'is empty'
    return value.includes('\0') ? 'holds NUL' : null
  }
  return compileString(text, at, compilation, TEXT, problemOf)
}

/** The text of a header: numbers, true and false are spelled out. */
export const compileHeaderText = (text: string, at: Path, compilation: Compilation): Template<string> =>
  compileString(text, at, compilation, HEADER, (value) =>
    typeof value === 'object' ? 'is not a string, a number, true or false' : null,
  )

const compileString = (
  text: string,
  at: Path,
  compilation: Compilation,
  types: ReadonlySet<string>,
  problemOf: (value: JsonValue) => string | null,
): Template<string> => {
  if (!isExpression(text)) {
    const literal = unescapeDollar(text)
    const problem = problemOf(literal)
    return problem === null ? constant(literal) : reportAt(compilation, at, `the string ${problem}`)
  }
  const scalar = compileScalar(text, at, compilation, types)
  if (scalar === null) return nothing
  const code = blame(scalar.reads.map((read) => read.root))
  const place = at.join('.')
  return {
    ...scalar,
    constant: null,
    render: (scope) => {
      const value = scalar.render(scope)
      if (value === undefined) return undefined
      const problem = problemOf(value)
      return problem === null ? String(value) : fail(scope, code, `${place}: the value ${problem}`)
    },
  }
}

const compileList = (list: readonly JsonValue[], at: Path, compilation: Compilation): Template<JsonValue> => {
  const items = list.map((item, index) => compileValue(item, [...at, index], compilation))
  return compose(items, (valueIn) => {
    const values: JsonValue[] = []
    for (const item of items) {
      const value = valueIn(item)
      if (value !== undefined) values.push(value)
    }
    return values
  })
}

/** An object of templates; keys are literal. */
export const compileObject = (
  object: JsonObject,
  at: Path,
  compilation: Compilation,
): Template<JsonObject> => {
  const members = Object.entries(object).map(
    ([key, value]) => [key, compileValue(value, [...at, key], compilation)] as const,
  )
  const parts = members.map(([, member]) => member)
  return compose(parts, (valueIn) => {
    const result: Record<string, JsonValue> = {}
    for (const [key, member] of members) {
      const value = valueIn(member)
      if (value !== undefined) setOwn(result, key, value)
    }
    return result
  })
}

/** Something made of several templates; constant when they all are. */
export const compose = <T extends object>(
  parts: readonly Template<unknown>[],
  make: (valueIn: <P>(part: Template<P>) => P | undefined) => T | undefined,
): Template<T> => {
  if (parts.every((part) => part.constant !== null)) {
    const fixed = make((part) => part.constant ?? undefined)
    if (fixed !== undefined) return constant(Object.freeze(fixed))
  }
  const reads = parts.flatMap((part) => part.reads)
  return { constant: null, reads, render: (scope) => make((part) => part.render(scope)) }
}

/** A template whose value must not be left out. */
export const required = <T>(template: Template<T>, at: Path): Template<T> => {
  const code = blame(template.reads.map((read) => read.root))
  const detail = `${at.join('.')}: there is no value`
  return { ...template, render: (scope) => template.render(scope) ?? fail(scope, code, detail) }
}

const setOwn = (object: Record<string, JsonValue>, key: string, value: JsonValue): void => {
  if (key !== '__proto__') {
    object[key] = value
    return
  }
  Object.defineProperty(object, key, { value, enumerable: true, configurable: true, writable: true })
}
