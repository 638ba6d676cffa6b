import type { JsonObject } from '../../core/json.ts'
import { toCel } from './cel-values.ts'
import { encodeCapture, encodeSegment } from './percent-encode.ts'
import type { CelContext, Scope } from './scope.ts'

type Encode = ((text: string) => string) | null

// CEL tells records of different types apart by their constructor: hence classes.
export class RequestView {
  readonly id: string | undefined
  readonly method: string | undefined
  readonly scheme: string | undefined
  readonly host: string | undefined
  readonly path: string | undefined
  readonly ip: string | undefined
  readonly tls: boolean | undefined
  readonly time: Date
  readonly headers: unknown
  readonly posture: unknown
  readonly query: unknown

  constructor(scope: Scope, encode: Encode) {
    const request = scope.accepted?.request
    this.id = request?.id
    this.method = request?.method
    this.scheme = request?.scheme
    this.host = request?.host
    this.path = request?.path
    this.ip = request?.ip
    this.tls = request?.tls
    this.time = new Date(scope.timeMs)
    this.headers = encodeValues(scope.headers, encode)
    this.posture = this.headers
    this.query = encodeValues(scope.query, encode)
  }
}

export class SubjectView {
  readonly type: string | undefined
  readonly id: string | undefined
  readonly properties: unknown

  constructor(scope: Scope, encode: Encode) {
    const subject = scope.identity?.subject
    this.type = subject === undefined ? undefined : encodeText(subject.type, encode)
    this.id = subject === undefined ? undefined : encodeText(subject.id, encode)
    this.properties = toCel(subject?.properties ?? {}, encode)
  }
}

export class CredentialView {
  readonly type: string | undefined
  readonly id: string | undefined
  readonly issuer: string | undefined
  readonly issuedAt: bigint | undefined
  readonly expiresAt: bigint | undefined
  readonly ageSeconds: bigint | undefined
  readonly rotationDue: boolean | undefined

  constructor(scope: Scope, encode: Encode) {
    const credential = scope.identity?.credential
    this.type = credential?.type
    this.id = credential === undefined ? undefined : encodeText(credential.id, encode)
    this.issuer = credential?.issuer === undefined ? undefined : encodeText(credential.issuer, encode)
    this.issuedAt = toInt(credential?.issuedAt)
    this.expiresAt = toInt(credential?.expiresAt)
    this.ageSeconds = toInt(scope.ageSeconds)
    this.rotationDue = credential?.rotationDue
  }
}

export class RouteView {
  readonly name: string | undefined
  readonly owner: string | undefined
  readonly mode: string | undefined
  readonly engine: string | undefined
  readonly upstream: string | undefined

  constructor(scope: Scope) {
    const route = scope.accepted?.route
    this.name = route?.name
    this.owner = route?.owner
    this.mode = route?.mode
    this.engine = route?.engine
    this.upstream = route?.upstream
  }
}

const encodeText = (text: string, encode: Encode): string => (encode === null ? text : encode(text))

const encodeValues = (values: ReadonlyMap<string, string>, encode: Encode): ReadonlyMap<string, string> =>
  encode === null ? values : new Map([...values].map(([key, value]) => [key, encode(value)]))

const toInt = (seconds: number | undefined): bigint | undefined =>
  seconds === undefined ? undefined : BigInt(Math.floor(seconds))

// Claims outlive a request: an authenticator hands out the same object as long as it knows the credential.
const knownClaims = new WeakMap<JsonObject, unknown>()

const claimsAsCel = (claims: JsonObject, encode: Encode): unknown => {
  if (encode !== null) return toCel(claims, encode)
  const known = knownClaims.get(claims)
  if (known !== undefined) return known
  const converted = toCel(claims)
  knownClaims.set(claims, converted)
  return converted
}

/**
 * What CEL sees of a scope.
 *
 * @param encoded true for rewrites: every string that a caller could have chosen is then percent-encoded.
 */
export const celContextOf = (scope: Scope, encoded: boolean): CelContext => {
  if (encoded) {
    scope.encodedContext ??= createContext(scope, encodeSegment, encodeCapture)
    return scope.encodedContext
  }
  scope.celContext ??= createContext(scope, null, null)
  return scope.celContext
}

// Each variable is made when an expression first reads it.
const createContext = (scope: Scope, encode: Encode, encodePath: Encode): CelContext => {
  const made = new Map<string, unknown>()
  const once = (name: string, make: () => unknown): unknown => {
    if (!made.has(name)) made.set(name, make())
    return made.get(name)
  }
  const { identity, body } = scope
  return {
    get request() {
      return once('request', () => new RequestView(scope, encode))
    },
    get path() {
      return once('path', () => toCel(scope.path, encodePath))
    },
    get claims() {
      return once('claims', () => (identity === null ? undefined : claimsAsCel(identity.claims, encode)))
    },
    get subject() {
      return once('subject', () => new SubjectView(scope, encode))
    },
    get credential() {
      return once('credential', () => new CredentialView(scope, encode))
    },
    get body() {
      return once('body', () => (body === null ? undefined : toCel(body, encode)))
    },
    get route() {
      return once('route', () => new RouteView(scope))
    },
    get secrets() {
      return once('secrets', () => new Map([...scope.secrets].map(([name, value]) => [name, value.reveal()])))
    },
  }
}
