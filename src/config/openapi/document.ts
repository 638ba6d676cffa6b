import { parse } from 'yaml'
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/json.ts'

/** An OpenAPI document whose references can be followed. */
export interface OpenApiDocument {
  readonly root: JsonObject
  /** What a value is, or refers to within the document; undefined for a reference that leads nowhere. */
  readonly resolve: (value: JsonValue | undefined) => JsonValue | undefined
}

export interface NotOpenApi {
  readonly mistake: string
}

export const MAX_DOCUMENT_BYTES = 64 * 1024 * 1024
/** A reference to a reference, and so on. */
const MAX_REFERENCES = 32
const MAX_ALIASES = 1000

/** Reads an OpenAPI 3.0 or 3.1 document, in YAML or JSON. Nothing outside of it is ever fetched. */
export const readOpenApi = (text: string): OpenApiDocument | NotOpenApi => {
  const parsed = parseText(text)
  if ('mistake' in parsed) return { mistake: parsed.mistake }
  const { root } = parsed
  if (!isJsonObject(root)) return { mistake: 'found no map, expected an OpenAPI document' }
  if (typeof root.swagger === 'string') {
    return { mistake: `found Swagger ${root.swagger}, expected OpenAPI 3.0 or 3.1` }
  }
  if (typeof root.openapi !== 'string' || !/^3\.[01](\.|$)/.test(root.openapi)) {
    return { mistake: `found openapi: ${JSON.stringify(root.openapi ?? null)}, expected OpenAPI 3.0 or 3.1` }
  }
  if (!isJsonObject(root.paths)) return { mistake: 'found no paths in the document' }
  return { root, resolve: (value) => resolve(root, value) }
}

const parseText = (text: string): { readonly root: JsonValue } | NotOpenApi => {
  try {
    // JSON is YAML, and much quicker to read as what it is.
    if (text.trimStart().startsWith('{')) return { root: JSON.parse(text) }
    return { root: parse(text, { maxAliasCount: MAX_ALIASES, logLevel: 'error', uniqueKeys: false }) }
  } catch (error) {
    const [first = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
    return { mistake: `it can be read neither as JSON nor as YAML: ${first}` }
  }
}

const resolve = (root: JsonObject, value: JsonValue | undefined): JsonValue | undefined => {
  let current = value
  for (let followed = 0; followed < MAX_REFERENCES; followed += 1) {
    if (!isJsonObject(current) || typeof current.$ref !== 'string') return current
    current = atPointer(root, current.$ref)
  }
  return undefined
}

/** @see https://www.rfc-editor.org/rfc/rfc6901 */
const atPointer = (root: JsonObject, reference: string): JsonValue | undefined => {
  if (!reference.startsWith('#/')) return undefined
  let current: JsonValue | undefined = root
  for (const part of reference.slice(2).split('/')) {
    const key = decoded(part).replaceAll('~1', '/').replaceAll('~0', '~')
    if (Array.isArray(current)) current = current[Number(key)]
    else if (isJsonObject(current)) current = Object.hasOwn(current, key) ? current[key] : undefined
    else return undefined
  }
  return current
}

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
