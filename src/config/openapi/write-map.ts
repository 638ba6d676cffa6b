import { stringify } from 'yaml'
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/json.ts'
import { defaultMapping } from './default-mapping.ts'
import type { OpenApiDocument } from './document.ts'
import type { Operation } from './operations.ts'
import { fillPath } from './path.ts'

/** Names in the gateway file that the route map is written for. */
export interface ImportNames {
  readonly upstream: string
  readonly engine: string
  readonly authenticate: readonly string[]
  readonly owner: string | null
  /** Null: that of the document's servers. */
  readonly host: string | null
}

const FLOW = { collectionStyle: 'flow', flowCollectionPadding: true, lineWidth: 0 } as const

const inline = (value: JsonValue): string => stringify(value, FLOW).trimEnd()

// A comment is one line, whatever the document holds.
const comment = (text: string): string =>
  `# ${text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ').slice(0, 200)}`

const commonHost = (operations: readonly Operation[]): string | null => {
  const hosts = new Set(operations.map(({ host }) => host))
  const [only] = hosts
  return hosts.size === 1 ? (only ?? null) : null
}

/** The route map, as YAML with comments. */
export const writeRouteMap = (
  document: OpenApiDocument,
  operations: readonly Operation[],
  notes: readonly string[],
  names: ImportNames,
  command = 'import openapi',
): string => {
  const host = names.host ?? commonHost(operations)
  const defaults = {
    ...(host === null ? {} : { host }),
    upstream: names.upstream,
    engine: names.engine,
    authenticate: names.authenticate,
  }
  const lines = [
    comment(`Made of ${titleOf(document)} by sallyport ${command}. Read it before it serves.`),
    ...schemeHints(document).map(comment),
    ...notes.map((note) => comment(`Left out: ${note}`)),
    ...(names.owner === null ? [] : [`owner: ${inline(names.owner)}`]),
    `defaults: ${inline(defaults)}`,
    'routes:',
  ]
  if (operations.length === 0) return `${lines.slice(0, -1).join('\n')}\nroutes: []\n`
  for (const operation of operations) lines.push(...routeLines(operation, names.host ?? null, host))
  return `${lines.join('\n')}\n`
}

const routeLines = (
  operation: Operation,
  forced: string | null,
  common: string | null,
): readonly string[] => {
  const { name, method, path, mapping, security, deprecated, summary } = operation
  const own = forced === null && operation.host !== null && operation.host !== common ? operation.host : null
  const hints = [
    ...(summary === '' ? [] : [summary]),
    ...(deprecated ? ['Deprecated.'] : []),
    ...securityHint(security),
  ]
  return [
    '',
    ...hints.map((hint) => `  ${comment(hint)}`),
    `  - name: ${inline(name)}`,
    `    match: ${inline(`${method} ${path.template}`)}`,
    ...(own === null ? [] : [`    host: ${inline(own)}`]),
    ...(mapping === null ? defaultLines(operation) : mappingLines(mapping)),
  ]
}

const defaultLines = (operation: Operation): readonly string[] => {
  const { action, type, capture, id } = defaultMapping(operation)
  const resource = { type, id: capture === null ? id.replace(/^\$/, '$$$$') : `$path.${capture}` }
  return ['    evaluation:', `      action: ${inline(action)}`, `      resource: ${inline(resource)}`]
}

const mappingLines = (mapping: JsonObject): readonly string[] =>
  stringify(mapping, { lineWidth: 0 })
    .trimEnd()
    .split('\n')
    .map((line) => `    ${line}`)

const titleOf = ({ root }: OpenApiDocument): string => {
  const info = isJsonObject(root.info) ? root.info : {}
  return [info.title ?? 'an OpenAPI document', info.version ?? ''].map(String).join(' ').trim()
}

const securityHint = (security: Operation['security']): readonly string[] => {
  if (security === null) return []
  const sets = security.map((names) => names.join(' and '))
  if (security.length === 0 || security.some((names) => names.length === 0)) {
    return ['The document asks for no credential here; access: public would let everybody in unasked.']
  }
  return [`The document asks for ${sets.join(', or ')}.`]
}

/** What the document's security schemes would be among the authenticators. */
const schemeHints = ({ root, resolve }: OpenApiDocument): readonly string[] => {
  const components = isJsonObject(root.components) ? root.components : {}
  const schemes = isJsonObject(components.securitySchemes) ? components.securitySchemes : {}
  const hints = Object.entries(schemes).flatMap(([name, value]) => {
    const scheme = resolve(value)
    return isJsonObject(scheme) ? [`  ${name}: ${authenticatorOf(scheme)}`] : []
  })
  return hints.length === 0 ? [] : ['Security schemes of the document, as authenticators:', ...hints]
}

const authenticatorOf = (scheme: JsonObject): string => {
  switch (scheme.type) {
    case 'apiKey':
      return scheme.in === 'header'
        ? `{ type: api-key, header: ${String(scheme.name)} }`
        : `an API key in the ${String(scheme.in)} ${String(scheme.name)}, which api-key does not read`
    case 'http':
      return String(scheme.scheme).toLowerCase() === 'bearer'
        ? '{ type: jwt, issuer: … }, or introspection'
        : `the HTTP scheme ${String(scheme.scheme)}, for which there is no authenticator`
    case 'oauth2':
      return '{ type: jwt, issuer: … }, or introspection'
    case 'openIdConnect':
      return `{ type: jwt } with the issuer of ${String(scheme.openIdConnectUrl)}, or oidc for browsers`
    case 'mutualTLS':
      return '{ type: mtls }'
    default:
      return `the scheme ${String(scheme.type)}`
  }
}

/** Decision tests: each operation comes to its own route, and asks what the map says. */
export const writeTests = (operations: readonly Operation[], names: ImportNames): string => {
  const tests = operations.map((operation) => {
    const { name, method, path, mapping, examples } = operation
    const { path: filled, captured } = fillPath(path, (parameter) => examples.get(parameter) ?? '1')
    const host = names.host ?? operation.host ?? commonHost(operations) ?? 'localhost'
    const { action, type, capture, id } = defaultMapping(operation)
    const resource = { type, id: capture === null ? id : (captured.get(capture) ?? '') }
    const request = {
      method,
      url: `https://${host}${filled}`,
      subject: { type: 'User', id: 'somebody' },
    }
    const expect = mapping === null ? { route: name, action, resource } : { route: name }
    return `  - name: ${inline(`${method} ${path.template} is ${name}`)}\n    request: ${inline(request)}\n    expect: ${inline(expect)}\n`
  })
  const head = comment('What each operation asks; add who may do what: expect: { decision: allow }.')
  return tests.length === 0 ? `${head}\ntests: []\n` : `${head}\ntests:\n${tests.join('')}`
}
