import { randomBytes } from 'node:crypto'
import { setTimeout } from 'node:timers/promises'
import { systemClock } from '../src/core/clock.ts'
import type { Decision } from '../src/core/decision.ts'
import { createRedisGrants } from '../src/gateway/decide/grants/redis-grants.ts'
import { createRedisLink, type RedisLink } from '../src/gateway/decide/redis/link.ts'
import { createMac } from '../src/gateway/decide/redis/mac.ts'

const LIFE_MS = 3_600_000
const PER_SUBJECT = 10
/** Fewer commands than a gateway leaves unanswered: it gives up what is beyond. */
const AT_ONCE = 100
const TIMEOUT_MS = 10_000
const POLL_MS = 25

const silent = (): void => undefined
const log = { debug: silent, info: silent, warn: silent, error: silent }

/** Puts so many grants into a Redis as gateways do, ten to a subject. @throws Error when it did not take one. */
export const fillGrants = async (port: number, count: number): Promise<void> => {
  const place = { kind: 'single', host: '127.0.0.1', port, db: 0 } as const
  const keyPrefix = 'sallyport:filled:'
  const settings = {
    place,
    tls: null,
    keyPrefix,
    commandTimeoutMs: TIMEOUT_MS,
    minReplicas: 0,
    macKey: randomBytes(32),
    fingerprint: '',
  }
  const link = createRedisLink(settings, { timeoutMs: TIMEOUT_MS, name: 'bench', log, clock: systemClock })
  const grants = createRedisGrants({ link, keyPrefix, mac: createMac(settings.macKey), clock: systemClock })
  await answered(link)
  for (let made = 0; made < count; made += AT_ONCE) {
    for (let number = made; number < Math.min(count, made + AT_ONCE); number += 1) put(grants, number)
    await link.call('PING')
  }
  const { failures, skipped } = grants.stats()
  link.close()
  if (failures + skipped > 0) throw new Error(`Redis did not take ${failures + skipped} of ${count} grants`)
}

/** Waits for the connection. */
const answered = async (link: RedisLink): Promise<void> => {
  const deadlineMs = performance.now() + TIMEOUT_MS
  for (;;) {
    try {
      await link.call('PING')
      return
    } catch (error) {
      if (performance.now() > deadlineMs) throw error
      await setTimeout(POLL_MS)
    }
  }
}

const put = (grants: Pick<ReturnType<typeof createRedisGrants>, 'put'>, number: number): void => {
  const id = randomBytes(32).toString('base64url')
  const expiresAtMs = Date.now() + LIFE_MS
  const decision: Decision = {
    decision: 'allow',
    source: 'grant',
    policyVersion: `sha256:${'0'.repeat(64)}`,
    reasons: ['clerks-read'],
    errors: [],
    grant: { id, expiresAtMs },
  }
  const subject = `User::holder-${Math.floor(number / PER_SUBJECT)}`
  const facts = { id, subject, credential: randomBytes(8).toString('hex'), resources: [`Account::${number}`] }
  grants.put({ id, decision, expiresAtMs, lifeMs: LIFE_MS, held: `${'0'.repeat(16)} 0-0`, facts })
}
