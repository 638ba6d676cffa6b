import { isJsonObject, type JsonObject, type JsonValue } from '../../core/json.ts'
import type { OpenApiDocument } from './document.ts'
import { type ImportedPath, importPath, uniqueName } from './path.ts'

/** One operation, as far as a route is made of it. */
export interface Operation {
  /** Unique. */
  readonly name: string
  readonly method: string
  readonly path: ImportedPath
  /** Of the first server, in lower case; null when it names none. */
  readonly host: string | null
  /** Names of security schemes, any set of which will do; an empty set: none is needed. */
  readonly security: readonly (readonly string[])[] | null
  /** What `x-authzen` says. */
  readonly mapping: JsonObject | null
  /** Values that the document gives its path parameters. */
  readonly examples: ReadonlyMap<string, string>
  readonly deprecated: boolean
  readonly summary: string
}

const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'] as const
const MAX_OPERATIONS = 20_000

/**
 * Every operation of a document, in its order.
 *
 * @param note gets what was left out, and why.
 */
export const operationsOf = (
  document: OpenApiDocument,
  note: (text: string) => void,
): readonly Operation[] => {
  const { root, resolve } = document
  const operations: Operation[] = []
  const names = new Set<string>()
  const taken = new Map<string, string>()
  for (const [written, value] of Object.entries(isJsonObject(root.paths) ? root.paths : {})) {
    if (written.startsWith('x-')) continue
    const item = resolve(value)
    if (!isJsonObject(item)) {
      note(`${written}: what it refers to is not in the document`)
      continue
    }
    for (const method of METHODS) {
      const operation = resolve(item[method])
      if (!isJsonObject(operation)) continue
      if (operations.length >= MAX_OPERATIONS) {
        note(`more than ${MAX_OPERATIONS} operations: the rest is left out`)
        return operations
      }
      const server = serverOf(operation.servers ?? item.servers ?? root.servers)
      const path = importPath(server.base + written)
      const label = `${method.toUpperCase()} ${server.base}${written}`
      if (path === null) {
        note(`${label}: no path template can say this`)
        continue
      }
      const key = `${method} ${server.host ?? ''} ${path.key}`
      const other = taken.get(key)
      if (other !== undefined) {
        note(`${label}: fits the same requests as ${other}`)
        continue
      }
      taken.set(key, label)
      operations.push({
        name: uniqueName(nameOf(operation, method, path), names),
        method: method.toUpperCase(),
        path,
        host: server.host,
        security: securityOf(operation.security ?? root.security),
        mapping: mappingOf(operation['x-authzen'] ?? item['x-authzen']),
        examples: examplesOf(document, [item.parameters, operation.parameters]),
        deprecated: operation.deprecated === true,
        summary: typeof operation.summary === 'string' ? operation.summary : '',
      })
    }
  }
  return operations
}

const nameOf = (operation: JsonObject, method: string, { segments }: ImportedPath): string => {
  const id = typeof operation.operationId === 'string' ? operation.operationId.trim() : ''
  if (id !== '' && id.length <= 150 && !/[\u0000-\u001f\u007f]/.test(id)) return id
  const words = segments.map((segment) => (segment.kind === 'literal' ? segment.text : segment.capture))
  return [method, ...words.filter(Boolean)].join('-').slice(0, 150)
}

const serverOf = (
  servers: JsonValue | undefined,
): { readonly base: string; readonly host: string | null } => {
  const [first] = Array.isArray(servers) ? servers : []
  if (!isJsonObject(first) || typeof first.url !== 'string') return { base: '', host: null }
  const variables = isJsonObject(first.variables) ? first.variables : {}
  const url = first.url.replaceAll(/\{([^{}]*)\}/g, (whole, name: string) => {
    const variable = Object.hasOwn(variables, name) ? variables[name] : undefined
    return isJsonObject(variable) && variable.default !== undefined ? String(variable.default) : whole
  })
  const absolute = /^https?:\/\/([^/?#]*)([^?#]*)/i.exec(url)
  const path =
    absolute === null ? (url.startsWith('/') ? (url.split(/[?#]/)[0] ?? '') : '') : (absolute[2] ?? '')
  const authority = absolute?.[1]?.replace(/^.*@/, '').replace(/:\d+$/, '').toLowerCase() ?? ''
  const host = /^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$/.test(authority) ? authority : null
  return { base: path.replace(/\/+$/, ''), host }
}

const securityOf = (security: JsonValue | undefined): Operation['security'] => {
  if (!Array.isArray(security)) return null
  return security.flatMap((each: JsonValue) => (isJsonObject(each) ? [Object.keys(each)] : []))
}

/** `{ evaluation }`, `{ evaluations }`, or what stands in one of them. */
const mappingOf = (value: JsonValue | undefined): JsonObject | null => {
  if (!isJsonObject(value)) return null
  const { evaluation, evaluations } = value
  if (isJsonObject(evaluation)) return { evaluation }
  if (isJsonObject(evaluations)) return { evaluations }
  if (Array.isArray(evaluations)) return { evaluations: value }
  return value.action === undefined && value.resource === undefined ? null : { evaluation: value }
}

const SIMPLE = /^[A-Za-z0-9_-]{1,40}$/

const examplesOf = (
  { resolve }: OpenApiDocument,
  lists: readonly (JsonValue | undefined)[],
): ReadonlyMap<string, string> => {
  const examples = new Map<string, string>()
  for (const list of lists) {
    for (const item of Array.isArray(list) ? list : []) {
      const parameter = resolve(item)
      if (!isJsonObject(parameter) || parameter.in !== 'path' || typeof parameter.name !== 'string') continue
      const schema = resolve(parameter.schema)
      const { example, default: usual, enum: values } = isJsonObject(schema) ? schema : {}
      const [first] = Array.isArray(values) ? values : []
      const found = [parameter.example, first, example, usual].find(
        (value) => (typeof value === 'string' || typeof value === 'number') && SIMPLE.test(String(value)),
      )
      if (found !== undefined) examples.set(parameter.name, String(found))
    }
  }
  return examples
}
