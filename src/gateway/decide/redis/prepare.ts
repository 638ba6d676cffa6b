import { createHmac, type KeyObject, randomBytes } from 'node:crypto'
import type { Preparation } from '../../../core/settings.ts'
import type { GrantsConfig } from '../config.ts'
import { macKeyOfPrivateKey, macKeyOfSecret } from './mac.ts'
import type { RedisNode, RedisSettings } from './settings.ts'

/** The version of what is kept in Redis: another one never reads it. */
const SCHEMA = 1

/**
 * Reads what `grants` says of a Redis while the configuration is loaded; opens nothing.
 *
 * @param signingKey of assertions when a file holds it; else null.
 * @returns null without Redis, or when something was reported.
 */
export const prepareRedis = (
  config: GrantsConfig,
  signingKey: KeyObject | null,
  { readFile, report }: Pick<Preparation, 'readFile' | 'report'>,
): RedisSettings | null => {
  const { store, redis, secret } = config
  if (store === 'memory') return null
  if (secret === undefined && signingKey === null) {
    const message =
      'found a shared store without a key of its own, expected grants.secret or assertion.keyFile: what is in Redis must not be forged'
    report({ path: ['store'], rule: 'shared-store-key', message })
    return null
  }
  const wantsTls = redis.tls ?? (typeof store === 'string' && store.startsWith('rediss:'))
  const ca = typeof wantsTls === 'object' ? readFile(wantsTls.caFile, ['redis', 'tls', 'caFile']) : null
  if (typeof wantsTls === 'object' && ca === null) return null
  const place = placeOf(store)
  const { username, password, sentinelPassword } = redis
  const settings: Omit<RedisSettings, 'fingerprint'> = {
    place,
    ...(username === undefined ? {} : { username }),
    ...(password === undefined ? {} : { password }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword }),
    tls: wantsTls === false ? null : { ca: ca === null ? null : ca.toString('utf8') },
    keyPrefix: `${redis.keyPrefix}:${SCHEMA}:`,
    commandTimeoutMs: redis.commandTimeout,
    minReplicas: redis.minReplicas ?? (place.kind === 'single' ? 0 : 1),
    macKey: secret === undefined ? keyOf(signingKey) : macKeyOfSecret(secret.reveal()),
  }
  return { ...settings, fingerprint: fingerprintOf(settings) }
}

const fingerprintOf = (settings: Omit<RedisSettings, 'fingerprint'>): string => {
  const { password, sentinelPassword, macKey, ...plain } = settings
  const secrets = [password?.reveal(), sentinelPassword?.reveal(), macKey.toString('base64')]
  return createHmac('sha256', PROCESS_KEY)
    .update(JSON.stringify([plain, secrets]))
    .digest('base64url')
}

const PROCESS_KEY = randomBytes(32)

const keyOf = (key: KeyObject | null): Buffer => {
  if (key === null) throw new Error('there is no key')
  return macKeyOfPrivateKey(key)
}

const placeOf = (store: Exclude<GrantsConfig['store'], 'memory'>): RedisSettings['place'] => {
  if (typeof store === 'string') {
    const { hostname, port, pathname } = new URL(store)
    const db = Number(pathname.slice(1))
    return { kind: 'single', host: unbracketed(hostname), port: port === '' ? 6379 : Number(port), db }
  }
  if ('cluster' in store) return { kind: 'cluster', nodes: store.cluster.map(nodeOf) }
  return { kind: 'sentinel', name: store.name, db: store.db, nodes: store.sentinels.map(nodeOf) }
}

const nodeOf = (text: string): RedisNode => {
  const colon = text.lastIndexOf(':')
  return { host: unbracketed(text.slice(0, colon)), port: Number(text.slice(colon + 1)) }
}

const unbracketed = (host: string): string => host.replace(/^\[|\]$/g, '')
