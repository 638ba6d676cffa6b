import { hash } from 'node:crypto'
import { z } from 'zod'
import type { Problem } from '../../core/problem.ts'

const HASH = /^sha256:(?:[0-9a-fA-F]{64}|[A-Za-z0-9_-]{43})$/

const name = () => z.string().min(1)

const moment = () =>
  z.union([z.iso.date(), z.iso.datetime({ offset: true })], {
    error: 'expected a date such as 2027-01-31, or a time such as 2027-01-31T12:00:00Z',
  })

/** The file of API keys; it holds their hashes only. */
export const keysFileConfig = () =>
  z.strictObject({
    keys: z
      .array(
        z.strictObject({
          id: name().max(128).describe('Names the key in records.'),
          hash: z
            .string()
            .regex(HASH, 'expected "sha256:" and 64 hex digits, as "sallyport keys new" prints it')
            .describe('`sha256:` and the SHA-256 of the key, in hex or base64url.'),
          subject: z
            .strictObject({
              type: name().describe('Type of the subject.'),
              id: name().describe('Id of the subject.'),
            })
            .describe('Whom the key stands for.'),
          owner: name().optional().describe('Who answers for the key; default none.'),
          created: moment().optional().describe('When the key was made; default unknown.'),
          expires: moment()
            .optional()
            .describe(
              'From when on the key is refused (a date means its first moment, in UTC); default never.',
            ),
          rotateAfter: moment()
            .optional()
            .describe('From when on the use of the key is logged as due for rotation; default never.'),
        }),
      )
      .describe('The keys.'),
  })

export type KeyEntry = z.infer<ReturnType<typeof keysFileConfig>>['keys'][number]

/** The form in which a key is stored; a plain hash is enough because keys are 256 random bits. */
export const hashApiKey = (key: string): string => `sha256:${hash('sha256', key, 'hex')}`

/** The stored hash as 64 hex digits, however it is written. */
export const storedDigest = (stored: string): string => {
  const text = stored.slice('sha256:'.length)
  return text.length === 64 ? text.toLowerCase() : Buffer.from(text, 'base64url').toString('hex')
}

/** Reports ids and hashes that occur more than once, at their later place. */
export const reportDuplicates = (entries: readonly KeyEntry[], report: (problem: Problem) => void): void => {
  const ids = new Map<string, number>()
  const digests = new Map<string, number>()
  entries.forEach((entry, index) => {
    const note = (seen: Map<string, number>, value: string, member: 'id' | 'hash') => {
      const earlier = seen.get(value)
      if (earlier === undefined) seen.set(value, index)
      else report({ path: ['keys', index, member], message: `key ${earlier + 1} has the same ${member}` })
    }
    note(ids, entry.id, 'id')
    note(digests, storedDigest(entry.hash), 'hash')
  })
}
