import { STATUS_CODES } from 'node:http'
import type { PlainAnswer } from './endpoint.ts'

export const json = (value: object, status = 200): PlainAnswer => ({
  status,
  contentType: 'application/json',
  text: `${JSON.stringify(value)}\n`,
})

/**
 * An error as problem details.
 *
 * @param detail says what is wrong and what was expected; never repeats a credential.
 * @see https://www.rfc-editor.org/rfc/rfc9457
 */
export const problem = (status: number, detail: string, headers: readonly string[] = []): PlainAnswer => ({
  status,
  contentType: 'application/problem+json',
  text: `${JSON.stringify({ type: 'about:blank', title: STATUS_CODES[status] ?? 'Error', status, detail })}\n`,
  headers,
})
