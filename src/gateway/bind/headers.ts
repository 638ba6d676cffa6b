import type { Problem } from '../../core/problem.ts'
import { blame, type Read } from './reads.ts'
import { fail, type Scope } from './scope.ts'
import { type Compilation, compileHeaderText, type Template } from './template.ts'

/** A header that the route sets. */
export interface HeaderPlan {
  /** As it is written in the route map. */
  readonly name: string
  readonly reads: readonly Read[]
  /** Undefined when it is left out, or when `scope.failure` says why there is none. */
  readonly render: (scope: Scope) => string | undefined
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/

/** Fields that belong to the connection, to the message's framing or to its routing. Lower case. */
const RESERVED: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'http2-settings',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** Compiles the headers that a route sets, and reports those that it must not. */
export const compileHeaders = (
  headers: Readonly<Record<string, string>>,
  compilation: Compilation,
): readonly HeaderPlan[] => {
  const seen = new Set<string>()
  return Object.entries(headers).map(([name, text]) => {
    const at = ['headers', name]
    const lower = name.toLowerCase()
    const problem = seen.has(lower) ? `the header ${name} is there twice` : nameProblem(name, lower)
    if (problem !== null) compilation.report({ path: at, message: problem, rule: 'header-name', atKey: true })
    seen.add(lower)
    return compileHeader(name, compileHeaderText(text, at, compilation), compilation)
  })
}

const nameProblem = (name: string, lower: string): string | null => {
  if (!TOKEN.test(name)) return `found ${JSON.stringify(name)}, expected the name of a header`
  if (lower.startsWith('sallyport-')) return `${name} is set by Sallyport alone`
  return RESERVED.has(lower) ? `${name} belongs to the connection and cannot be set by a route` : null
}

const compileHeader = (name: string, value: Template<string>, compilation: Compilation): HeaderPlan => {
  const at: Problem['path'] = ['headers', name]
  if (value.constant !== null) {
    const encoded = encodeFieldValue(value.constant)
    if (encoded === null) {
      compilation.report({ path: at, message: 'this cannot be the value of a header', rule: 'mapping' })
    }
    return { name, reads: [], render: () => encoded ?? undefined }
  }
  const code = blame(value.reads.map((read) => read.root))
  return {
    name,
    reads: value.reads,
    render: (scope) => {
      const text = value.render(scope)
      if (text === undefined) return undefined
      return encodeFieldValue(text) ?? fail(scope, code, `headers.${name}: the value cannot be in a header`)
    },
  }
}

const CONTROL = /[\u0000-\u001f\u007f]/
const NON_ASCII = /[^\u0000-\u007f]/
// What a recipient takes off would make two names one.
const OUTER_SPACE = /^ | $/

/**
 * A field value as it goes on the wire, in Latin-1 text: UTF-8 bytes for what is not ASCII.
 *
 * @returns null for control characters (also tabs and line ends) and for space at either end.
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-5.5
 */
export const encodeFieldValue = (text: string): string | null => {
  if (CONTROL.test(text) || OUTER_SPACE.test(text)) return null
  return NON_ASCII.test(text) ? Buffer.from(text, 'utf8').toString('latin1') : text
}
