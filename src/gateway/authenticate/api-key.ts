import { timingSafeEqual } from 'node:crypto'
import { z } from 'zod'
import type { Credential, Identity } from '../../core/identity.ts'
import type { JsonObject } from '../../core/json.ts'
import type { Log } from '../../core/log.ts'
import { isRefusal, type Refusal } from '../../core/refusals.ts'
import type { Settings } from '../../core/settings.ts'
import { type KeyEntry, keysFileConfig, reportDuplicates, storedDigest } from './api-key-file.ts'
import { type AuthenticatorBody, badCredential, defineAuthenticator } from './authenticator.ts'
import { carrierHeader, headerProblem } from './carriers.ts'
import { credentialDigest } from './credential-digest.ts'
import { compileSubject, literalType, prefixField, subjectConfig, type ToSubject } from './subject.ts'

const SUBJECT_OF_KEY = { type: '$claims.subject.type', id: '$claims.subject.id' } as const

const apiKeyConfig = (s: Settings) =>
  z.strictObject({
    type: z.literal('api-key'),
    header: carrierHeader().default('X-Api-Key').describe('Header that carries the key, default X-Api-Key.'),
    keysFile: s.path().describe('YAML file with `keys: [{ id, hash, subject: { type, id }, … }]`.'),
    subject: subjectConfig(SUBJECT_OF_KEY)
      .optional()
      .describe(
        'Makes another subject of claims.keyId, owner, created, expires, rotationDue and subject; default the subject of the key.',
      ),
    prefix: prefixField(),
  })

/** A long random key, of which the gateway knows only the hash. */
export const apiKey = defineAuthenticator({
  type: 'api-key',
  config: apiKeyConfig,
  prepare: (name, config, preparation) => {
    const problem = headerProblem(config.header)
    if (problem !== null) preparation.report({ path: ['header'], message: problem })
    const file = preparation.readYaml(config.keysFile, keysFileConfig, ['keysFile'])
    const entries = file?.value.keys ?? []
    if (file !== null) reportDuplicates(entries, file.report)
    const prefix = config.prefix ?? ''
    const toSubject =
      config.subject === undefined ? null : compileSubject(name, config.subject, prefix, preparation)
    const description = {
      carrier: { kind: 'header', name: config.header.toLowerCase() } as const,
      selector: {},
      subjectTypes: typesOf(config.subject?.type ?? SUBJECT_OF_KEY.type, entries),
      prefix,
    }
    const { log } = preparation
    const { header } = config
    return { description, create: () => createApiKeys({ name, header, entries, prefix, toSubject, log }) }
  },
})

const typesOf = (template: string, entries: readonly KeyEntry[]): readonly string[] | null => {
  if (template === SUBJECT_OF_KEY.type) return [...new Set(entries.map(({ subject }) => subject.type))]
  const type = literalType(template)
  return type === null ? null : [type]
}

interface ApiKeyParts {
  readonly name: string
  readonly header: string
  readonly entries: readonly KeyEntry[]
  readonly prefix: string
  readonly toSubject: ToSubject | null
  readonly log: Log
}

interface StoredKey {
  readonly id: string
  readonly digest: Buffer
  readonly expiresMs: number
  readonly rotateAfterMs: number
  /** Made once for each state, so that a request costs a look-up. */
  readonly fresh: Identity | Refusal
  readonly due: Identity | Refusal
}

/** No key that was ever made is shorter or longer. */
const LEAST_LENGTH = 16
const MOST_LENGTH = 512
const ROTATION_LOG_MS = 60 * 60_000

const createApiKeys = (parts: ApiKeyParts): AuthenticatorBody => {
  const { name } = parts
  const keys = new Map(parts.entries.map((entry) => [storedDigest(entry.hash), store(entry, parts)]))
  const remind = rotationReminder(name, parts.log)
  return {
    challenge: { scheme: 'ApiKey', parameters: [`header="${parts.header}"`] },
    declines: () => null,
    authenticate: ({ value, digest }, { nowMs }) => {
      if (value.length < LEAST_LENGTH || value.length > MOST_LENGTH) {
        return badCredential(name, value === '' ? 'the key is empty' : 'the key has not the length of a key')
      }
      const key = find(keys, digest)
      if (key === null) return badCredential(name, 'the key is not known')
      if (nowMs >= key.expiresMs) return badCredential(name, `the key ${key.id} has expired`)
      const due = nowMs >= key.rotateAfterMs
      if (due) remind(key.id, nowMs)
      const identity = due ? key.due : key.fresh
      return isRefusal(identity) ? identity : { identity, keep: null }
    },
  }
}

const NO_KEY = Buffer.alloc(32)

// The look-up is by a digest that nobody can choose bit by bit; the comparison is done in the same
// time whether it found something or not.
const find = (keys: ReadonlyMap<string, StoredKey>, digest: string): StoredKey | null => {
  const key = keys.get(digest)
  const equal = timingSafeEqual(Buffer.from(digest, 'hex'), key?.digest ?? NO_KEY)
  return key !== undefined && equal ? key : null
}

const store = (entry: KeyEntry, parts: ApiKeyParts): StoredKey => {
  const hex = storedDigest(entry.hash)
  const digest = credentialDigest(parts.name, hex)
  return {
    id: entry.id,
    digest: Buffer.from(hex, 'hex'),
    expiresMs: momentMs(entry.expires) ?? Number.POSITIVE_INFINITY,
    rotateAfterMs: momentMs(entry.rotateAfter) ?? Number.POSITIVE_INFINITY,
    fresh: identify(entry, digest, false, parts),
    due: identify(entry, digest, true, parts),
  }
}

const identify = (
  entry: KeyEntry,
  digest: string,
  rotationDue: boolean,
  { name, prefix, toSubject }: ApiKeyParts,
): Identity | Refusal => {
  const { type, id } = entry.subject
  const { owner, created, expires } = entry
  const claims: JsonObject = {
    keyId: entry.id,
    subject: { type, id },
    ...(owner === undefined ? {} : { owner }),
    ...(created === undefined ? {} : { created }),
    ...(expires === undefined ? {} : { expires }),
    rotationDue,
  }
  const subject = toSubject === null ? { type, id: prefix + id } : toSubject(claims)
  if (isRefusal(subject)) return subject
  return { subject, credential: credentialOf(entry, digest, name, rotationDue), claims }
}

const credentialOf = (
  entry: KeyEntry,
  digest: string,
  authenticator: string,
  rotationDue: boolean,
): Credential => {
  const createdMs = momentMs(entry.created)
  const expiresMs = momentMs(entry.expires)
  return {
    type: 'api-key',
    authenticator,
    id: entry.id,
    ...(createdMs === null ? {} : { issuedAt: createdMs / 1000 }),
    ...(expiresMs === null ? {} : { expiresAt: expiresMs / 1000 }),
    rotationDue,
    digest,
  }
}

const momentMs = (moment: string | undefined): number | null =>
  moment === undefined ? null : Date.parse(moment)

/** Says that a key should be replaced, once an hour for each key. */
const rotationReminder = (authenticator: string, log: Log): ((keyId: string, nowMs: number) => void) => {
  const lastMs = new Map<string, number>()
  return (keyId, nowMs) => {
    const last = lastMs.get(keyId)
    if (last !== undefined && nowMs - last < ROTATION_LOG_MS) return
    lastMs.set(keyId, nowMs)
    log.warn({ authenticator, keyId }, 'An API key that should have been rotated is still in use')
  }
}
