import { randomBytes } from 'node:crypto'
import { hashApiKey } from '../gateway/authenticate/api-key-file.ts'

export interface ApiKey {
  /** For its user alone; stored nowhere. */
  readonly key: string
  /** For the keys file. */
  readonly hash: string
  /** For the keys file, and for people: the day the key was made, and something random. */
  readonly id: string
}

/**
 * Makes an API key of 256 random bits.
 *
 * @param nowMs milliseconds since the epoch.
 */
export const createApiKey = (nowMs: number): ApiKey => {
  const day = new Date(nowMs).toISOString().slice(0, 10).replaceAll('-', '')
  const id = `k${day}-${randomBytes(4).toString('hex')}`
  const key = `sp_${id}_${randomBytes(32).toString('base64url')}`
  return { key, hash: hashApiKey(key), id }
}
