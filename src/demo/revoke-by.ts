import { readFile } from 'node:fs/promises'
import type { Revoke } from './walkthrough-send.ts'

/** Asks the admin port to end the grants of a subject, as `sallyport revoke --subject` does; throws when it does not. */
export const revokeBy =
  (options: {
    readonly adminUrl: string
    readonly adminTokenFile: string
    readonly signal: AbortSignal
  }): Revoke =>
  async (subject) => {
    const token = (await readFile(options.adminTokenFile, 'utf8')).trim()
    const response = await fetch(`${options.adminUrl}/v1/revocations`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      body: JSON.stringify({ subject, effect: 'grants', reason: 'shown by the demo' }),
      signal: options.signal,
    })
    const text = await response.text()
    if (response.status !== 201) throw new Error(`the admin port answered ${response.status}: ${text}`)
  }
