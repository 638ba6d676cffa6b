import type { AccessRequest } from '../../../core/access-request.ts'
import type { JsonObject, JsonValue } from '../../../core/json.ts'
import { parseStrictJson } from '../../../core/strict-json.ts'
import type { HttpQuestion } from './engine.ts'

/**
 * A request as OPA-Envoy gives it to Rego, made of the canonical request.
 *
 * It holds every header of the caller, credentials too, since Rego for OPA-Envoy often verifies them itself. What was
 * mapped is beside it, as `access_request`.
 *
 * Not as in OPA-Envoy: each segment of `parsed_path` is decoded by itself, so that an encoded slash makes no segment.
 *
 * @see https://www.openpolicyagent.org/docs/envoy-primer#input-document
 */
export const envoyInput = ({ request, body }: HttpQuestion, accessRequest: AccessRequest): JsonObject => {
  const headers = mergedHeaders(request)
  const bodyText = body === null ? null : body.toString('utf8')
  const parsedBody = bodyText === null ? undefined : parsedJson(bodyText, headers['content-type'])
  return {
    attributes: {
      source: { address: { socketAddress: { address: request.ip } } },
      destination: { address: { socketAddress: { address: request.host } } },
      request: {
        time: new Date(request.receivedAtMs).toISOString(),
        http: {
          id: request.id,
          method: request.method,
          headers,
          path: request.target,
          host: request.authority,
          scheme: request.scheme,
          protocol: 'HTTP/1.1',
          size: body === null ? '-1' : String(body.length),
          ...(bodyText === null ? {} : { body: bodyText }),
        },
      },
      metadataContext: {},
      routeMetadataContext: {},
    },
    parsed_path: parsedPath(request.path),
    parsed_query: parsedQuery(request.query),
    ...(parsedBody === undefined ? {} : { parsed_body: parsedBody }),
    truncated_body: false,
    version: { encoding: 'protojson', ext_authz: 'v3' },
    access_request: accessRequest as unknown as JsonObject,
  }
}

const mergedHeaders = ({
  headers,
  names,
  method,
  target,
  authority,
  scheme,
}: HttpQuestion['request']): Readonly<Record<string, string>> => {
  const merged = new Map<string, string>([
    [':authority', authority],
    [':method', method],
    [':path', target],
    [':scheme', scheme],
  ])
  for (const [index, name] of names.entries()) {
    // Host is `:authority`.
    if (name === 'host') continue
    const value = headers[2 * index + 1] ?? ''
    const before = merged.get(name)
    merged.set(name, before === undefined ? value : `${before},${value}`)
  }
  // Not by assignment: a header may be called `__proto__`.
  return Object.fromEntries(merged)
}

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

const parsedPath = (path: string): readonly string[] => path.slice(1).split('/').map(decoded)

const parsedQuery = (query: string): Readonly<Record<string, readonly string[]>> => {
  const values = new Map<string, string[]>()
  for (const [key, value] of new URLSearchParams(query)) values.set(key, [...(values.get(key) ?? []), value])
  return Object.fromEntries(values)
}

const parsedJson = (text: string, contentType: string | undefined): JsonValue | undefined => {
  if (contentType === undefined || !/^application\/(?:[^;]*\+)?json\b/i.test(contentType)) return undefined
  const parsed = parseStrictJson(text)
  return 'problem' in parsed ? undefined : parsed.value
}
