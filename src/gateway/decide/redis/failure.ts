import { ReplyError } from 'ioredis'
import type { RedisSettings } from './settings.ts'

/**
 * Why a command has no reply: there is no connection, none came in time, Redis says no, or the request that asks has
 * waited as long as it may, so that it was not sent.
 */
export type RedisFailureCode = 'REDIS_UNREACHABLE' | 'REDIS_TIMEOUT' | 'REDIS_REFUSED' | 'REDIS_WAIT_OVER'

export interface RedisFailure extends Error {
  readonly code: RedisFailureCode
}

export const redisFailure = (code: RedisFailureCode, message: string): RedisFailure =>
  Object.assign(new Error(message), { code })

export const isRedisFailure = (error: unknown, code: RedisFailureCode): boolean =>
  error instanceof Error && Reflect.get(error, 'code') === code

/** True when Redis itself answered, and not what was hoped for. */
export const isRefusedByRedis = (error: unknown): error is Error => error instanceof ReplyError

/** Host and port of where it is looked for; never how to get in. */
export const addressOf = (place: RedisSettings['place']): string => {
  if (place.kind === 'single') return hostAndPort(place)
  return place.nodes.map(hostAndPort).join(', ')
}

const hostAndPort = ({ host, port }: { readonly host: string; readonly port: number }): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

/** `ECONNREFUSED`, `WRONGPASS`: what systems and Redis put in front for machines; empty when there is none. */
export const reasonCodeOf = (error: unknown): string => {
  if (!(error instanceof Error)) return ''
  const code: unknown = Reflect.get(error, 'code')
  if (typeof code === 'string') return code
  // The first word of an error that Redis answers is its code.
  return isRefusedByRedis(error) ? (/^[A-Z]{2,32}(?= |$)/.exec(error.message)?.[0] ?? '') : ''
}
