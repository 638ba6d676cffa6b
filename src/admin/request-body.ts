import type { IncomingMessage } from 'node:http'
import type { JsonValue } from '../core/json.ts'
import { parseStrictJson } from '../core/strict-json.ts'
import { problem } from './answers.ts'
import type { PlainAnswer } from './endpoint.ts'

/** Enough for a request with the largest body that the gateway reads by default. */
export const MAX_BODY_BYTES = 2 << 20

/** A body within a body may be as deep as the gateway reads it: 32. */
const MAX_DEPTH = 40

const JSON_TYPE = /^application\/json *(?:; *charset="?utf-8"? *)?$/i

/** Reads a JSON body of bounded size, or says what is wrong with it. Rejects when the caller goes away. */
export const readJsonBody = async (
  request: IncomingMessage,
): Promise<{ readonly value: JsonValue } | PlainAnswer> => {
  const {
    'content-type': type,
    'content-length': length = '0',
    'transfer-encoding': coding,
  } = request.headers
  if (type === undefined && length === '0' && coding === undefined) return { value: null }
  // What a page of another origin can send without asking first is of another type.
  if (!JSON_TYPE.test(type ?? '')) {
    return problem(415, 'expected a body with Content-Type: application/json')
  }
  const bytes = await readAll(request)
  if (bytes === null) return problem(413, `expected a body of ${MAX_BODY_BYTES} bytes at most`)
  const text = decodeUtf8(bytes)
  if (text === null) return problem(400, 'expected a body in UTF-8')
  const parsed = parseStrictJson(text, { caseInsensitiveDuplicates: false, maxDepth: MAX_DEPTH })
  return 'problem' in parsed ? problem(400, `expected a JSON body: ${parsed.problem}`) : parsed
}

/** Null when there is more than may be kept; the rest is read and dropped, until the server's deadline. */
const readAll = (request: IncomingMessage): Promise<Buffer | null> =>
  new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size <= MAX_BODY_BYTES) chunks.push(chunk)
      else {
        chunks.length = 0
        resolve(null)
      }
    })
    request.on('end', () => resolve(Buffer.concat(chunks)))
    request.on('error', reject)
  })

const decodeUtf8 = (bytes: Buffer): string | null => {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return null
  }
}
