import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { systemClock } from '../../../../src/core/clock.ts'
import type { Log } from '../../../../src/core/log.ts'
import { secret } from '../../../../src/core/secret.ts'
import { createRedisLink, type RedisLink } from '../../../../src/gateway/decide/redis/link.ts'
import { createMac, macKeyOfSecret } from '../../../../src/gateway/decide/redis/mac.ts'
import type { RedisSettings } from '../../../../src/gateway/decide/redis/settings.ts'
import { createRedisFeed, type RedisFeed } from '../../../../src/gateway/decide/revocations/redis-feed.ts'
import { type ManualClock, manualClock } from '../manual-clock.ts'

const ignore = (): void => undefined
export const NO_LOG: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore }

export const MAC = createMac(macKeyOfSecret('of all gateways'))
export const PREFIX = 'test:1:'

export const settingsOf = (port: number, more: Partial<RedisSettings> = {}): RedisSettings => ({
  place: { kind: 'single', host: '127.0.0.1', port, db: 0 },
  tls: null,
  keyPrefix: PREFIX,
  commandTimeoutMs: 50,
  minReplicas: 0,
  macKey: macKeyOfSecret('of all gateways'),
  fingerprint: '',
  ...more,
})

export const passwordOf = (text: string) => secret(text)

export interface Replica {
  readonly feed: RedisFeed
  readonly clock: ManualClock
  readonly link: RedisLink
}

/** A gateway's part of the feed, which beats when it is told to, by a clock that stands until it is moved. */
export const replicaOf = (
  link: RedisLink,
  more: Partial<Parameters<typeof createRedisFeed>[0]> & { readonly clock?: ManualClock } = {},
): Replica => {
  const clock = more.clock ?? manualClock()
  const feed = createRedisFeed({
    log: NO_LOG,
    link,
    keyPrefix: PREFIX,
    mac: MAC,
    maxStaleMs: 2_000,
    failClosedAfterMs: 300_000,
    markLifeMs: 7 * 24 * 3_600_000,
    maxMarks: 10_000,
    minReplicas: 0,
    marks: [],
    onPublished: ignore,
    pause: (ms) => wait(ms / 25),
    ...more,
    clock,
  })
  return { feed, clock, link }
}

/** A connection that is there. */
export const linkTo = async (
  t: TestContext,
  port: number,
  timeoutMs = 10_000,
  more: Partial<RedisSettings> = {},
): Promise<RedisLink> => {
  const link = createRedisLink(settingsOf(port, more), {
    timeoutMs,
    name: 'test',
    log: NO_LOG,
    clock: systemClock,
  })
  t.after(link.close)
  await reachable(link)
  return link
}

export const reachable = async (link: RedisLink): Promise<void> => {
  for (;;) {
    const there = await link.call('EXISTS', `${PREFIX}{feed}:meta`).then(
      () => true,
      () => false,
    )
    if (there) return
    await wait(10)
  }
}
