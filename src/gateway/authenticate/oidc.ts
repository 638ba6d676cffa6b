import { headerValues } from '../../core/headers.ts'
import type { Identity } from '../../core/identity.ts'
import { isRefusal, type Refusal } from '../../core/refusals.ts'
import type { CanonicalRequest } from '../../core/request.ts'
import type { Preparation, Shared } from '../../core/settings.ts'
import { NO_SHARED_VALUES } from '../../core/shared-values.ts'
import { sharedWaitOf } from '../../core/shared-wait.ts'
import {
  type AuthenticatorBody,
  badCredential,
  type Circumstances,
  type Description,
  defineAuthenticator,
  type Presented,
  type Verification,
} from './authenticator.ts'
import { SUBJECT_OF_TOKEN } from './jwt-config.ts'
import { type OidcConfig, oidcConfig, parameterProblem } from './oidc/config.ts'
import { createEndedSessions } from './oidc/ended-sessions.ts'
import { loginAddress, loginEndpoints } from './oidc/login.ts'
import { logoutEndpoints } from './oidc/logout.ts'
import { createLogoutTokenCheck } from './oidc/logout-token.ts'
import { asksForPage } from './oidc/page-request.ts'
import { LOGIN_PATH, type OidcParts } from './oidc/parts.ts'
import { createPendingLogins } from './oidc/pending-logins.ts'
import { createOidcProvider } from './oidc/provider.ts'
import { isProviderFailure, refusalOf } from './oidc/provider-failure.ts'
import { createRefresh, type Refresh } from './oidc/refresh.ts'
import { createRenewal } from './oidc/renewal.ts'
import { createSealer, deriveSecret, makeSecret, type Sealer, sealingPurpose } from './oidc/sealing.ts'
import { endOfUseMs, identityOf, type Session, type SessionLimits, sessionProblem } from './oidc/session.ts'
import { cookieStore } from './oidc/session-store.ts'
import { createSharedRenewal } from './oidc/shared-renewal.ts'
import { sharedStore } from './oidc/shared-store.ts'
import { transportProblem } from './provider.ts'
import { publishedKeys } from './published-keys.ts'
import { writeSessionCookie } from './session-cookies.ts'
import { NO_WISH } from './sign-in-wish.ts'
import { compileSubject, literalType, peopleOf, type ToSubject } from './subject.ts'

/**
 * People in browsers, who sign in at an OpenID provider.
 *
 * @see https://openid.net/specs/openid-connect-core-1_0.html
 */
export const oidc = defineAuthenticator({
  type: 'oidc',
  config: oidcConfig,
  prepare: (name, config, preparation) => {
    check(config, preparation)
    const prefix = config.prefix ?? ''
    const mapping = config.subject ?? SUBJECT_OF_TOKEN
    const toSubject = compileSubject(name, mapping, prefix, preparation)
    const type = literalType(mapping.type)
    const cookie = cookieNameOf(name)
    const description: Description = {
      carrier: { kind: 'session', name: cookie },
      selector: {},
      subjectTypes: type === null ? null : [type],
      prefix,
      people: peopleOf(config.issuer, mapping, prefix),
    }
    const secrets = secretsOf(config)
    if (config.session.store === 'redis' && secrets === null) {
      const message = 'sessions that are shared need a key that is: give the authenticator "secrets"'
      preparation.report({ path: ['session', 'store'], message })
    }
    return {
      description,
      create: () => createOidc({ name, cookie, config, secrets, toSubject, preparation }),
    }
  },
})

/** As letters, digits and `-`, and unlike that of any other name. */
const cookieNameOf = (name: string): string =>
  name.replace(/[^A-Za-z0-9-]/gu, (character) => `_${character.codePointAt(0)?.toString(16) ?? ''}_`)

const LEAST_SECRET_CHARACTERS = 32

const check = (config: OidcConfig, preparation: Preparation): void => {
  const problem = transportProblem(config.issuer, config.insecure)
  if (problem !== null) {
    const message = `people cannot sign in there: ${problem}; use https, or say "insecure: true"`
    preparation.report({ path: ['issuer'], message })
  }
  if (!config.scopes.includes('openid'))
    preparation.report({ path: ['scopes'], message: 'expected openid among them' })
  for (const parameter of Object.keys(config.parameters ?? {})) {
    const taken = parameterProblem(parameter)
    if (taken !== null) preparation.report({ path: ['parameters', parameter], atKey: true, message: taken })
  }
  config.secrets?.forEach((secret, index) => {
    if (secret.reveal().length >= LEAST_SECRET_CHARACTERS) return
    const message = `the secret is shorter than ${LEAST_SECRET_CHARACTERS} characters`
    preparation.report({ path: ['secrets', index], message })
  })
}

type Secrets = readonly [Uint8Array, ...(readonly Uint8Array[])]

/** Null: there is none that outlives this process. */
const secretsOf = ({ secrets = [], clientSecret, clientId }: OidcConfig): Secrets | null => {
  const [first, ...older] = secrets.map((secret) => Buffer.from(secret.reveal(), 'utf8'))
  if (first !== undefined) return [first, ...older]
  const derived = clientSecret === undefined ? null : deriveSecret(clientSecret.reveal(), clientId)
  return derived === null ? null : [derived]
}

interface Ingredients {
  readonly name: string
  readonly cookie: string
  readonly config: OidcConfig
  readonly secrets: Secrets | null
  readonly toSubject: ToSubject
  readonly preparation: Preparation
}

const KEY_REFRESH_MS = 5 * 60_000
const KEY_COOLDOWN_MS = 30_000
const KEY_MAX_STALE_MS = 60 * 60_000

const createOidc = (ingredients: Ingredients): AuthenticatorBody => {
  const { name, cookie, config, toSubject, preparation } = ingredients
  const { clock, log, share } = preparation
  const { issuer, clientId, insecure, timeout: timeoutMs } = config
  const sealers = sealersOf(ingredients)
  const keyOptions = {
    authenticator: name,
    publisher: { issuer },
    refreshMs: KEY_REFRESH_MS,
    cooldownMs: KEY_COOLDOWN_MS,
    maxStaleMs: KEY_MAX_STALE_MS,
    timeoutMs,
    insecure,
  }
  const keys = share(`published keys: ${JSON.stringify(keyOptions)}`, () =>
    publishedKeys({ ...keyOptions, clock, log }),
  )
  const ended = share(`ended sessions: ${JSON.stringify([name, issuer, clientId])}`, createEndedSessions)
  const provider = createOidcProvider({
    ...{ authenticator: name, issuer, clientId, timeoutMs, insecure, clock, log, keys: keys.value },
    clientSecret: config.clientSecret?.reveal() ?? null,
    scopes: config.scopes,
    parameters: config.parameters ?? {},
    clockToleranceMs: config.clockTolerance,
  })
  const limits = { idleMs: config.session.idle, lifetimeMs: config.session.lifetime }
  const refreshBeforeMs = config.session.refreshBefore
  const refresh = createRefresh({ provider, refreshBeforeMs, clock })
  const { store, renewal } = keeperOf(ingredients, sealers.value('session'), { limits, refresh })
  const parts: OidcParts = {
    ...{ name, cookie, issuer, clientId, limits, refreshBeforeMs, toSubject, provider, store, clock, log },
    afterLogout: config.afterLogout ?? null,
    logins: createPendingLogins(name, cookie, sealers.value('login'), preparation.sharedUses),
    renewal,
    ended: ended.value,
    checkLogoutToken: createLogoutTokenCheck({
      ...{ authenticator: name, issuer, clientId, clock, keys: keys.value },
      clockToleranceMs: config.clockTolerance,
    }),
  }
  return {
    challenge: { scheme: 'Cookie', parameters: [`login="${LOGIN_PATH}"`] },
    declines: () => null,
    authenticate: (presented, circumstances) => authenticate(parts, presented, circumstances),
    signIn: (request, wish) => signInAt(parts, request, wish),
    endpoints: [...loginEndpoints(parts), ...logoutEndpoints(parts)],
    fromClaims: (claims) => {
      const seconds = Math.floor(clock.nowMs() / 1000)
      const idToken = `.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.`
      return identityOf(
        name,
        { id: 'explained', startedAt: seconds, usedAt: seconds, idToken },
        limits,
        toSubject,
      )
    },
    close: () => {
      sealers.release()
      ended.release()
      keys.release()
      provider.close()
    },
  }
}

/** Where sessions are kept, and how they are renewed there. */
const keeperOf = (
  { name, config, preparation }: Ingredients,
  sealer: Sealer,
  { limits, refresh }: { readonly limits: SessionLimits; readonly refresh: Refresh },
): Pick<OidcParts, 'store' | 'renewal'> => {
  const { clock, sharedValues: values = NO_SHARED_VALUES } = preparation
  const { issuer, clientId, timeout: timeoutMs } = config
  if (config.session.store === 'cookie') {
    const store = cookieStore(name, sealer)
    return { store, renewal: createRenewal({ refresh, store, limits, clock }) }
  }
  const purpose = sealingPurpose('session', { name, issuer, clientId })
  const store = sharedStore({ authenticator: name, purpose, sealer, values, limits, clock })
  const renewal = createSharedRenewal({
    ...{ authenticator: name, purpose, store, values, refresh, limits, clock, timeoutMs },
  })
  return { store, renewal }
}

type SealerFor = (what: 'session' | 'login') => Sealer

const sealersOf = ({ name, config, secrets, preparation }: Ingredients): Shared<SealerFor> => {
  const { issuer, clientId } = config
  const sealerWith =
    (known: Secrets): SealerFor =>
    (what) =>
      createSealer(known, sealingPurpose(what, { name, issuer, clientId }))
  if (secrets !== null) return { value: sealerWith(secrets), release: () => undefined }
  const made = preparation.share(`session secret: ${JSON.stringify([name, issuer, clientId])}`, () => ({
    secret: makeSecret(),
    close: () => undefined,
  }))
  preparation.log.warn(
    { authenticator: name },
    'Sessions end with this process, and are not known to others: give the authenticator "secrets"',
  )
  return { value: sealerWith([made.value.secret]), release: made.release }
}

const signInAt = ({ name }: OidcParts, request: CanonicalRequest, wish = NO_WISH): string | null =>
  asksForPage(request) ? loginAddress(name, request.target, wish) : null

const authenticate = async (
  parts: OidcParts,
  { value }: Presented,
  { nowMs, request, signal }: Circumstances,
): Promise<Verification> => {
  const { name, store, ended, limits, renewal } = parts
  const wait = sharedWaitOf(signal)
  const session = await store.load(value, wait)
  if (session === null) return badSession(parts, request, 'the cookie is no session of ours')
  if (isRefusal(session)) return session
  const isEnded = ended.watch(session)
  if (isEnded()) return badSession(parts, request, 'the session was ended')
  const problem = sessionProblem(session, limits, nowMs)
  if (problem !== null) return badSession(parts, request, problem)
  const dueAtMs = renewal.dueAtMs(session)
  if (nowMs < dueAtMs) {
    const identity = identify(parts, session)
    const keep = { untilMs: dueAtMs, vouched: () => !isEnded() }
    return isRefusal(identity) ? identity : { identity, keep }
  }
  const renewed = await renewal.renew(value, session, wait)
  if (isRefusal(renewed)) return renewed
  if (isProviderFailure(renewed)) {
    return renewed.failure === 'refused'
      ? badSession(parts, request, renewed.detail)
      : refusalOf(name, renewed, '')
  }
  const identity = identify(parts, renewed.session)
  if (isRefusal(identity)) return identity
  return { identity, keep: null, setCookies: cookiesOf(parts, request, renewed, nowMs) }
}

const identify = ({ name, limits, toSubject }: OidcParts, session: Session): Identity | Refusal =>
  identityOf(name, session, limits, toSubject)

const cookiesOf = (
  { cookie, limits }: OidcParts,
  request: CanonicalRequest,
  { session, value }: { readonly session: Session; readonly value: string },
  nowMs: number,
): readonly string[] => {
  const maxAgeSeconds = Math.max(0, Math.floor((endOfUseMs(session, limits) - nowMs) / 1000))
  return writeSessionCookie(cookie, { value, maxAgeSeconds }, cookieField(request), request)
}

const cookieField = ({ headers }: CanonicalRequest): string => headerValues(headers, 'cookie').join('; ')

/** A page is sent to sign in again; the cookies go either way. */
const badSession = (parts: OidcParts, request: CanonicalRequest, detail: string): Refusal => {
  const gone = writeSessionCookie(
    parts.cookie,
    { value: '', maxAgeSeconds: 0 },
    cookieField(request),
    request,
  )
  const elsewhere = signInAt(parts, request)
  return {
    ...badCredential(parts.name, detail),
    ...(elsewhere === null ? {} : { elsewhere }),
    headers: gone.flatMap((each) => ['Set-Cookie', each]),
  }
}
