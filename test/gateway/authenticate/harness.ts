import { parse as parseYaml } from 'yaml'
import { z } from 'zod'
import type { Clock } from '../../../src/core/clock.ts'
import type { Identity } from '../../../src/core/identity.ts'
import type { JsonObject, JsonValue } from '../../../src/core/json.ts'
import type { Log } from '../../../src/core/log.ts'
import type { Problem } from '../../../src/core/problem.ts'
import { isRefusal, type Refusal, refuse } from '../../../src/core/refusals.ts'
import type { CanonicalRequest } from '../../../src/core/request.ts'
import type { Route } from '../../../src/core/route.ts'
import { secret } from '../../../src/core/secret.ts'
import type { Preparation, Settings } from '../../../src/core/settings.ts'
import { type Authenticate, createAuthenticate } from '../../../src/gateway/authenticate/authenticate.ts'
import type { Authenticator, AuthenticatorFactory } from '../../../src/gateway/authenticate/authenticator.ts'
import { AUTHENTICATOR_KINDS } from '../../../src/gateway/authenticate/kinds.ts'

/** Noon on a day, and the same in seconds. */
export const NOW_MS = Date.UTC(2026, 10, 23, 12)
export const NOW = NOW_MS / 1000

export interface TestClock extends Clock {
  readonly advance: (ms: number) => void
}

export const testClock = (): TestClock => {
  let nowMs = NOW_MS
  return {
    nowMs: () => nowMs,
    monotonicUs: () => nowMs * 1000,
    advance: (ms) => {
      nowMs += ms
    },
  }
}

const UNITS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
])

const durationMs = (text: string): number => {
  const [, count, unit] = /^(\d+)(ms|s|m|h)$/.exec(text) ?? []
  return Number(count) * (UNITS.get(unit ?? '') ?? Number.NaN)
}

/** Settings that resolve nothing: paths stay as they are, and `{ env }` is the secret itself. */
export const settings: Settings = {
  path: () => z.string(),
  glob: () => z.string(),
  duration: () => z.string().transform(durationMs),
  secret: () =>
    z
      .union([z.strictObject({ env: z.string() }), z.strictObject({ file: z.string() })])
      .transform((source) => secret('env' in source ? source.env : source.file)),
  url: () => z.string(),
}

/** Knows `$claims.x`, `$claims.?x` and literals: the least that stands in for CEL. */
const mapClaims = (template: JsonValue, claims: JsonObject): JsonValue | undefined | Refusal => {
  if (typeof template === 'string' && template.startsWith('$')) {
    const [, optional, name = ''] = /^\$claims\.(\??)(\w+)$/.exec(template) ?? []
    if (Object.hasOwn(claims, name)) return claims[name]
    return optional === '?' ? undefined : refuse('authenticate', 'denied', `the claims have no ${name}`)
  }
  if (typeof template !== 'object' || template === null || Array.isArray(template)) return template
  const mapped: Record<string, JsonValue> = {}
  for (const [key, value] of Object.entries(template)) {
    const made = mapClaims(value, claims)
    if (typeof made === 'object' && made !== null && !Array.isArray(made) && isRefusal(made)) return made
    if (made !== undefined) mapped[key] = made
  }
  return mapped
}

export interface World {
  readonly clock?: Clock
  readonly log?: Log
  readonly files?: Readonly<Record<string, unknown>>
}

export interface Prepared {
  readonly factory: AuthenticatorFactory
  readonly problems: readonly Problem[]
  /** Problems of the files that were read as YAML. */
  readonly fileProblems: readonly Problem[]
}

/** Loads one authenticator as a configuration would. Throws when the schema does not take it. */
export const prepare = (name: string, config: object, world: World = {}): Prepared => {
  const problems: Problem[] = []
  const fileProblems: Problem[] = []
  const text = (path: string): string | null => {
    const content = world.files?.[path]
    if (content === undefined) return null
    return typeof content === 'string' ? content : JSON.stringify(content)
  }
  const preparation: Preparation = {
    clock: world.clock ?? testClock(),
    log: world.log ?? silentLog,
    readFile: (path, at) => {
      const content = text(path)
      if (content === null) problems.push({ path: at, message: 'no such file' })
      return content === null ? null : Buffer.from(content)
    },
    readGlob: () => [],
    readYaml: (path, schema, at) => {
      const content = text(path)
      if (content === null) {
        problems.push({ path: at, message: 'no such file' })
        return null
      }
      const parsed = schema(settings).safeParse(parseYaml(content))
      if (parsed.success) return { value: parsed.data, report: (problem) => fileProblems.push(problem) }
      for (const { path: place, message } of parsed.error.issues) {
        fileProblems.push({ path: place.map((part) => (typeof part === 'symbol' ? '' : part)), message })
      }
      return null
    },
    // What the template makes of claims is an object, as the template is one.
    compileClaims: (template) => (claims) => mapClaims(template, claims) as JsonObject | Refusal,
    share: (_key, create) => {
      const value = create()
      return { value, release: value.close }
    },
    report: (problem) => problems.push(problem),
    reportFinding: () => {},
  }
  const type = 'type' in config ? config.type : undefined
  const kind = AUTHENTICATOR_KINDS.find((each) => each.type === type)
  if (kind === undefined) throw new Error(`no kind ${String(type)}`)
  const factory = kind.prepare(name, kind.config(settings).parse(config), preparation)
  return { factory, problems, fileProblems }
}

export const silentLog: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

export interface Stage {
  readonly authenticate: Authenticate
  readonly authenticators: ReadonlyMap<string, Authenticator>
  readonly close: () => void
}

/** The whole stage over these authenticators. Throws when one of them has a problem. */
export const stageOf = (configs: Readonly<Record<string, object>>, world: World = {}): Stage => {
  const clock = world.clock ?? testClock()
  const authenticators = new Map(
    Object.entries(configs).map(([name, config]) => {
      const { factory, problems, fileProblems } = prepare(name, config, { ...world, clock })
      const found = [...problems, ...fileProblems].filter(({ severity }) => severity !== 'warning')
      if (found.length > 0) throw new Error(found.map(({ message }) => message).join('; '))
      return [name, factory()]
    }),
  )
  return {
    authenticate: createAuthenticate({ authenticators, clock }),
    authenticators,
    close: () => {
      for (const authenticator of authenticators.values()) authenticator.close?.()
    },
  }
}

export const routeOf = (...authenticate: readonly string[]): Route => ({
  index: 0,
  name: 'route',
  owner: '',
  access: 'protected',
  mode: 'enforce',
  authenticate,
  engine: 'engine',
  upstream: 'upstream',
})

/** @param headers flat name, value pairs as they would come over the wire. */
export const requestOf = (...headers: readonly string[]): CanonicalRequest => ({
  id: '00000000-0000-7000-8000-000000000000',
  method: 'GET',
  host: 'example.com',
  path: '/',
  ip: '127.0.0.1',
  receivedAtMs: NOW_MS,
  scheme: 'http',
  authority: 'example.com',
  query: '',
  target: '/',
  originalTarget: '/',
  headers,
  names: headers.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase()),
  tls: false,
  remoteAddress: '127.0.0.1',
})

export const bearer = (token: string): CanonicalRequest => requestOf('Authorization', `Bearer ${token}`)

/** What a test compares: the subject, or code and challenge of the refusal. */
export const outcomeOf = (result: Identity | Refusal): string => {
  if (!isRefusal(result)) return `${result.subject.type} ${result.subject.id}`
  const [, challenge] = result.headers ?? []
  return challenge === undefined ? result.refusal : `${result.refusal}, ${challenge}`
}

export const refusalOf = (result: Identity | Refusal): Refusal => {
  if (isRefusal(result)) return result
  throw new Error(`not refused, but ${outcomeOf(result)}`)
}

export const identityOf = (result: Identity | Refusal): Identity => {
  if (isRefusal(result)) throw new Error(`refused: ${result.refusal}, ${result.detail}`)
  return result
}

/** Claims of a token that is good for authenticators with issuer `https://idp.example.com` and audience `bank`. */
export const CLAIMS = {
  iss: 'https://idp.example.com',
  aud: 'bank',
  sub: 'alice',
  iat: NOW - 60,
  exp: NOW + 600,
} as const

/** An authenticator for `CLAIMS`, with its keys in the file `jwks.json`. */
export const STAFF = {
  type: 'jwt',
  issuer: CLAIMS.iss,
  audience: CLAIMS.aud,
  jwksFile: 'jwks.json',
} as const

export const BAD = 'unauthenticated, Bearer error="invalid_token"'
