import { type HeaderPairs, headerValues } from '../../core/headers.ts'
import type { JsonObject, JsonValue } from '../../core/json.ts'
import { parseStrictJson } from '../../core/strict-json.ts'
import { decodeUtf8, readPairs, type Wanted } from './pairs.ts'

type Result = { readonly body: JsonObject } | { readonly problem: string }

const TOKEN = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
const MEDIA_TYPE = new RegExp(`^(${TOKEN}/${TOKEN})[ \\t]*((?:;.*)?)$`)
const PARAMETER = new RegExp(`^;[ \\t]*(?:(${TOKEN})=(?:(${TOKEN})|"([^"\\\\]*)"))?[ \\t]*`)
const FORM = 'application/x-www-form-urlencoded'
const BYTE_ORDER_MARK = '\ufeff'

/**
 * A body as the mapping reads it: JSON (`application/json`, `+json`) or a form, in UTF-8, not encoded.
 *
 * Whatever two parsers could read differently is a problem; see `parseStrictJson` and `readPairs`.
 *
 * @param wanted the top-level keys that the mapping reads.
 * @returns problems name no content.
 */
export const parseBody = (headers: HeaderPairs, bytes: Buffer, wanted: Wanted): Result => {
  const [contentEncoding] = headerValues(headers, 'content-encoding')
  if (contentEncoding !== undefined) return { problem: 'the body has a content encoding' }
  const [contentType, another] = headerValues(headers, 'content-type')
  if (contentType === undefined) return { problem: 'the body has no content type' }
  if (another !== undefined) return { problem: 'the body has more than one content type' }
  const mediaType = readMediaType(contentType)
  if (mediaType === null) return { problem: 'the content type is not well-formed, or not UTF-8' }
  const isJson = mediaType === 'application/json' || mediaType.endsWith('+json')
  if (!isJson && mediaType !== FORM) return { problem: 'the content type is neither JSON nor a form' }
  const text = decodeUtf8(bytes)
  if (text === null) return { problem: 'the body is not UTF-8' }
  if (text.startsWith(BYTE_ORDER_MARK)) return { problem: 'the body starts with a byte order mark' }
  return isJson ? parseJson(text) : parseForm(text, wanted)
}

const parseJson = (text: string): Result => {
  const parsed = parseStrictJson(text)
  if ('problem' in parsed) return { problem: `the body is not unambiguous JSON: ${parsed.problem}` }
  const { value } = parsed
  return isObject(value) ? { body: value } : { problem: 'the body is not a JSON object' }
}

const isObject = (value: JsonValue): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const parseForm = (text: string, wanted: Wanted): Result => {
  const read = readPairs(text, wanted)
  if ('problem' in read) return { problem: `the form has ${read.problem}` }
  const body: Record<string, string> = Object.create(null)
  for (const [key, value] of read.values) body[key] = value
  return { body }
}

/**
 * The media type in lower case; null when it is not well-formed or names a charset other than UTF-8.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-8.3
 */
const readMediaType = (contentType: string): string | null => {
  const match = MEDIA_TYPE.exec(contentType)
  if (match === null) return null
  const [, mediaType = '', parameters = ''] = match
  let rest = parameters
  const names = new Set<string>()
  while (rest !== '') {
    const parameter = PARAMETER.exec(rest)
    if (parameter === null) return null
    const [whole, name, token, quoted] = parameter
    rest = rest.slice(whole.length)
    if (name === undefined) continue
    const lower = name.toLowerCase()
    if (names.has(lower)) return null
    names.add(lower)
    if (lower === 'charset' && (token ?? quoted ?? '').toLowerCase() !== 'utf-8') return null
  }
  return mediaType.toLowerCase()
}
