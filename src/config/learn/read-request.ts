import { canonicalTarget, isNotCanonical } from '../../core/canonical-target.ts'
import { isJsonObject, type JsonValue } from '../../core/json.ts'

/** What a line of a log says of a request that went well, or could have. */
export interface LoggedRequest {
  readonly method: string
  readonly path: string
  readonly host: string | null
}

/** Common and combined log format. @see https://httpd.apache.org/docs/current/logs.html#accesslog */
const ACCESS_LINE = /"([A-Z]{1,20}) (\S+)(?: HTTP\/[\d.]+)?" (\d{3}) /
const FIRST_ERROR_STATUS = 400

/** Null for a line that is no request, or one that no route should be made of. */
export const readRequest = (line: string): LoggedRequest | null => {
  const found = line.startsWith('{') ? ofRecord(line) : ofAccessLine(line)
  if (found === null || !found.path.startsWith('/')) return null
  const target = canonicalTarget(found.path)
  if (isNotCanonical(target)) return null
  return { ...found, path: target.path }
}

const ofAccessLine = (line: string): LoggedRequest | null => {
  const [, method = '', path = '', status = ''] = ACCESS_LINE.exec(line) ?? []
  // What the application did not know either is no route of it.
  if (method === '' || Number(status) >= FIRST_ERROR_STATUS) return null
  return { method, path, host: null }
}

const ofRecord = (line: string): LoggedRequest | null => {
  const record = parse(line)
  if (!isJsonObject(record) || record.follows !== undefined || !isJsonObject(record.request)) return null
  const { method, path, host } = record.request
  if (record.code === 'bad_request' || typeof method !== 'string' || typeof path !== 'string') return null
  return { method, path, host: typeof host === 'string' ? host : null }
}

const parse = (line: string): JsonValue => {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}
