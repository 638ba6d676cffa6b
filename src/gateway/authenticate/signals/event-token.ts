import { compactVerify, createLocalJWKSet, createRemoteJWKSet, errors, type JSONWebKeySet } from 'jose'
import type { JsonObject } from '../../../core/json.ts'
import type { Transmitter } from './config.ts'

/** The error codes of RFC 8935 section 2.4. */
export type SetErrorCode =
  | 'invalid_request'
  | 'invalid_key'
  | 'invalid_issuer'
  | 'invalid_audience'
  | 'authentication_failed'

export interface SetError {
  readonly err: SetErrorCode
  readonly description: string
}

/** A security event token that was verified. */
export interface EventToken {
  readonly transmitter: Transmitter
  readonly jti: string
  readonly subject: JsonObject | undefined
  readonly events: readonly (readonly [uri: string, payload: JsonObject])[]
}

/** Its keys could not be had: the transmitter should try again. */
export interface KeysOutOfReach {
  readonly unreachable: string
}

const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA']
const KEYS_TIMEOUT_MS = 5_000
const KEYS_COOLDOWN_MS = 30_000
/** How far ahead a transmitter's clock may be. */
const MOST_AHEAD_SECONDS = 300

export type VerifyEventToken = (
  token: string,
  nowMs: number,
) => Promise<EventToken | SetError | KeysOutOfReach>

type Keys = ReturnType<typeof createRemoteJWKSet> | ReturnType<typeof createLocalJWKSet>

/**
 * Makes what verifies event tokens of some transmitters: form, issuer, audience, signature.
 *
 * @see https://openid.net/specs/openid-sharedsignals-framework-1_0.html section 4.1, and RFC 8417
 * Does not check: whether a token came before.
 */
export const createEventTokens = (transmitters: readonly Transmitter[]): VerifyEventToken => {
  const byIssuer = new Map(
    transmitters.map((each) => [each.issuer, { transmitter: each, keys: keysOf(each) }]),
  )
  return async (token, nowMs) => {
    const claims = readPayload(token)
    if (claims === null) return invalid('the body is no signed event token in compact form')
    const known = typeof claims.iss === 'string' ? byIssuer.get(claims.iss) : undefined
    if (known === undefined) return { err: 'invalid_issuer', description: 'no transmitter has this iss' }
    const verified = await verify(token, known.keys)
    if (verified !== null) return verified
    return readToken(claims, known.transmitter, nowMs)
  }
}

const keysOf = ({ keys, jwksUri }: Transmitter): Keys => {
  // What is no usable key in it is found out when one is looked for.
  if (keys !== null) return createLocalJWKSet(keys as unknown as JSONWebKeySet)
  return createRemoteJWKSet(new URL(jwksUri ?? ''), {
    timeoutDuration: KEYS_TIMEOUT_MS,
    cooldownDuration: KEYS_COOLDOWN_MS,
  })
}

const readPayload = (token: string): JsonObject | null => {
  const parts = token.split('.')
  try {
    const claims: unknown = JSON.parse(Buffer.from(parts[1] ?? '', 'base64url').toString('utf8'))
    const isObject = typeof claims === 'object' && claims !== null && !Array.isArray(claims)
    return parts.length === 3 && isObject ? (claims as JsonObject) : null
  } catch {
    return null
  }
}

const OUT_OF_REACH: ReadonlySet<string> = new Set([
  'ERR_JWKS_TIMEOUT',
  'ERR_JWKS_INVALID',
  'ERR_JOSE_GENERIC',
])

/** Null when the signature is right. */
const verify = async (token: string, keys: Keys): Promise<SetError | KeysOutOfReach | null> => {
  try {
    const { protectedHeader } = await compactVerify(token, keys as ReturnType<typeof createRemoteJWKSet>, {
      algorithms: ALGORITHMS,
    })
    const typ = String(protectedHeader.typ ?? '').toLowerCase()
    if (typ !== 'secevent+jwt' && typ !== 'application/secevent+jwt')
      return invalid('typ is not secevent+jwt')
    return null
  } catch (error) {
    if (!(error instanceof errors.JOSEError) || OUT_OF_REACH.has(error.code)) {
      const why = error instanceof Error ? (Reflect.get(error, 'code') ?? error.name) : 'unknown'
      return { unreachable: `the keys of the transmitter cannot be had: ${String(why)}` }
    }
    if (error instanceof errors.JWSInvalid || error instanceof errors.JOSENotSupported) {
      return invalid('the body is no signed event token in compact form')
    }
    return { err: 'invalid_key', description: 'no key of the transmitter verifies the signature' }
  }
}

const readToken = (claims: JsonObject, transmitter: Transmitter, nowMs: number): EventToken | SetError => {
  const { aud, jti, iat, events, sub_id: subject } = claims
  const audiences = Array.isArray(aud) ? aud : [aud]
  if (!audiences.includes(transmitter.audience)) {
    return { err: 'invalid_audience', description: 'aud does not name this receiver' }
  }
  if (Object.hasOwn(claims, 'sub') || Object.hasOwn(claims, 'exp')) {
    return invalid('sub and exp must not be in an event token')
  }
  if (typeof jti !== 'string' || jti === '') return invalid('jti is missing')
  if (typeof iat !== 'number' || iat > nowMs / 1000 + MOST_AHEAD_SECONDS) {
    return invalid('iat is missing, or in the future')
  }
  if (!isObject(events) || Object.keys(events).length === 0) return invalid('events is missing or empty')
  const list = Object.entries(events).map(
    ([uri, payload]) => [uri, isObject(payload) ? payload : {}] as const,
  )
  return { transmitter, jti, subject: isObject(subject) ? subject : undefined, events: list }
}

const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const invalid = (description: string): SetError => ({ err: 'invalid_request', description })
