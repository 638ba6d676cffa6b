import type { JsonObject } from '../core/json.ts'
import type { CommandIo } from './io.ts'

/** What an admin port answered; `mistake` when it did not, or refused. */
export type AdminAnswer = { readonly json: JsonObject } | { readonly mistake: string }

export interface AdminCall {
  /** `http://host:port` of the admin port. */
  readonly admin: string
  readonly method: 'GET' | 'POST' | 'DELETE'
  /** With its query. */
  readonly path: string
  readonly body?: JsonObject
}

const DEADLINE_MS = 15_000

/** Asks an admin port, with the token in SALLYPORT_ADMIN_TOKEN. Never rejects. */
export const askAdmin = async (
  { admin, method, path, body }: AdminCall,
  { env }: Pick<CommandIo, 'env'>,
): Promise<AdminAnswer> => {
  const token = env.SALLYPORT_ADMIN_TOKEN ?? ''
  if (!/^https?:\/\/[^/?#]+\/?$/.test(admin)) {
    return { mistake: '--admin: expected a URL such as http://127.0.0.1:9901' }
  }
  if (token === '') return { mistake: 'expected a token of the admin port in SALLYPORT_ADMIN_TOKEN' }
  try {
    const response = await fetch(`${admin.replace(/\/$/, '')}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      redirect: 'manual',
      signal: AbortSignal.timeout(DEADLINE_MS),
    })
    const json = objectIn(await response.text())
    if (response.ok && json !== null) return { json }
    const detail = typeof json?.detail === 'string' ? `: ${json.detail}` : ''
    return { mistake: `${admin} refused with ${response.status}${detail}` }
  } catch (error) {
    return { mistake: `no answer from ${admin}: ${causeOf(error)}` }
  }
}

const objectIn = (text: string): JsonObject | null => {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : null
  } catch {
    // Another server's page.
    return null
  }
}

const causeOf = (error: unknown): string => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error ? cause.message : String(cause)
}
