import type { Clock } from '../../core/clock.ts'
import { isRefusal } from '../../core/refusals.ts'
import type { Preparation } from '../../core/settings.ts'
import { parseStrictJson } from '../../core/strict-json.ts'
import type { Algorithm } from './algorithms.ts'
import {
  type AuthenticatorBody,
  badCredential,
  defineAuthenticator,
  type Presented,
  type Verification,
} from './authenticator.ts'
import { credentialDigest } from './credential-digest.ts'
import { audienceProblem, endOfLifeMs, timesProblem } from './jwt-claims.ts'
import { type ParsedJwt, parsePresented } from './jwt-parse.ts'
import { acceptedAlgorithm, findSigner } from './jwt-signature.ts'
import { type JwtSvidConfig, jwtSvidConfig, SUBJECT_OF_SVID } from './jwt-svid-config.ts'
import { keyBindingOf } from './key-binding.ts'
import { fixedKeys, type KeySource } from './key-source.ts'
import { transportProblem } from './provider.ts'
import { publishedKeys } from './published-keys.ts'
import { parseSpiffeBundle } from './spiffe-bundle.ts'
import { parseSpiffeId } from './spiffe-id.ts'
import { compileSubject, literalType, type ToSubject } from './subject.ts'
import { tokenCarrier } from './token-carrier.ts'
import { identityOfToken } from './token-identity.ts'

/** EdDSA and shared secrets are not for SVIDs. */
const ALGORITHMS: ReadonlySet<Algorithm> = new Set([
  ...(['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512'] as const),
])
const HEADER_MEMBERS: ReadonlySet<string> = new Set(['alg', 'kid', 'typ'])
const TYPES: ReadonlySet<string> = new Set(['', 'jwt', 'jose'])

/**
 * A JWT-SVID: a short-lived token by which a workload of a SPIFFE trust domain says who it is.
 *
 * @see https://github.com/spiffe/spiffe/blob/main/standards/JWT-SVID.md
 */
export const jwtSvid = defineAuthenticator({
  type: 'jwt-svid',
  config: jwtSvidConfig,
  prepare: (name, config, preparation) => {
    const prefix = config.prefix ?? ''
    const mapping = config.subject ?? SUBJECT_OF_SVID
    const type = literalType(mapping.type)
    const description = {
      carrier: tokenCarrier(config, preparation),
      // A jwt authenticator takes its own issuer only, and an SVID need not have one.
      selector: { shape: 'jwt', issuer: config.issuer ?? '', 'trust domain': config.trustDomain },
      subjectTypes: type === null ? null : [type],
      prefix,
    }
    const keys = prepareBundle(name, config, preparation)
    const toSubject = compileSubject(name, mapping, prefix, preparation)
    const audience = typeof config.audience === 'string' ? [config.audience] : config.audience
    const { clock } = preparation
    const parts = { name, config, audience, toSubject, clock }
    return { description, create: () => createJwtSvid({ ...parts, keys: keys() }) }
  },
})

const prepareBundle = (name: string, config: JwtSvidConfig, preparation: Preparation): (() => KeySource) => {
  const { bundleFile, bundleUrl } = config
  const { clock, log } = preparation
  if ((bundleFile === undefined) === (bundleUrl === undefined)) {
    preparation.report({ path: [], message: 'expected one of bundleFile and bundleUrl' })
    return () => fixedKeys([])
  }
  if (bundleFile !== undefined) return bundleInFile(bundleFile, preparation)
  const problem = transportProblem(bundleUrl ?? '', config.insecure)
  if (problem !== null) {
    const message = `the bundle cannot be fetched from it: ${problem}; use https, or say "insecure: true"`
    preparation.report({ path: ['bundleUrl'], message })
  }
  const options = {
    authenticator: name,
    publisher: { bundleUrl: bundleUrl ?? '' },
    refreshMs: Math.min(config.refresh, config.maxStale / 2),
    cooldownMs: config.cooldown,
    maxStaleMs: config.maxStale,
    timeoutMs: config.timeout,
    insecure: config.insecure,
  }
  return () => {
    const key = `published keys: ${JSON.stringify(options)}`
    const { value, release } = preparation.share(key, () => publishedKeys({ ...options, clock, log }))
    return { ...value, close: release }
  }
}

const bundleInFile = (path: string, preparation: Preparation): (() => KeySource) => {
  const content = preparation.readFile(path, ['bundleFile'])
  if (content === null) return () => fixedKeys([])
  const text = content.toString('utf8').replace(/^\uFEFF/, '')
  const json = parseStrictJson(text, { caseInsensitiveDuplicates: false })
  const set = 'problem' in json ? json : parseSpiffeBundle(json.value)
  if ('problem' in set) {
    preparation.report({ path: ['bundleFile'], message: `the bundle: ${set.problem}` })
    return () => fixedKeys([])
  }
  if (set.keys.length === 0) {
    const message = 'the bundle holds no key for JWT-SVIDs, so that none is taken'
    preparation.report({ path: ['bundleFile'], message, severity: 'warning' })
  }
  return () => fixedKeys(set.keys)
}

interface SvidParts {
  readonly name: string
  readonly config: JwtSvidConfig
  readonly audience: readonly string[]
  readonly toSubject: ToSubject
  readonly clock: Clock
  readonly keys: KeySource
}

const createJwtSvid = (parts: SvidParts): AuthenticatorBody => ({
  challenge: { scheme: 'Bearer', parameters: [] },
  declines: (presented) => {
    const token = parsePresented(presented)
    return typeof token === 'string' ? token : selectionProblem(token, parts.config)
  },
  authenticate: (presented, { nowMs }) => {
    const { name } = parts
    const token = parsePresented(presented)
    if (typeof token === 'string') return badCredential(name, token)
    const problem = selectionProblem(token, parts.config) ?? svidProblem(token, parts, nowMs)
    if (problem !== null) return badCredential(name, problem)
    const algorithm = acceptedAlgorithm(token, ALGORITHMS)
    if (algorithm === null) return badCredential(name, 'the alg of the token is not one for SVIDs')
    return verify(token, algorithm, presented, parts)
  },
  fromClaims: (claims) =>
    identityOfToken('jwt-svid', parts.name, claims, credentialDigest(parts.name, ''), parts.toSubject),
  close: parts.keys.close,
})

const selectionProblem = ({ claims }: ParsedJwt, { trustDomain, issuer }: JwtSvidConfig): string | null => {
  if (claims.iss !== issuer)
    return issuer === undefined ? 'the token has an iss' : `the token was not issued by ${issuer}`
  const id = typeof claims.sub === 'string' ? parseSpiffeId(claims.sub) : null
  if (id === null || id.path === '') return 'the sub of the token is no SPIFFE ID of a workload'
  return id.trustDomain === trustDomain ? null : 'the SPIFFE ID is of another trust domain'
}

const svidProblem = (token: ParsedJwt, { config, audience }: SvidParts, nowMs: number): string | null => {
  const { header, typ, claims, kid } = token
  if (!Object.keys(header).every((member) => HEADER_MEMBERS.has(member))) {
    return 'the header has a member that an SVID has not'
  }
  if (!TYPES.has(typ)) return 'the typ of the token is not that of an SVID'
  if (kid === undefined) return 'the token names no key (kid)'
  if (claims.exp === undefined) return 'the token has no exp'
  if (keyBindingOf(claims) !== null) return 'the token is bound to a key, which an SVID is not'
  return timesProblem(claims, config.clockTolerance, nowMs) ?? audienceProblem(claims.aud, audience)
}

const verify = async (
  token: ParsedJwt,
  algorithm: Algorithm,
  presented: Presented,
  { name, keys, clock, toSubject, config }: SvidParts,
): Promise<Verification> => {
  const signer = await findSigner(token, algorithm, keys, clock)
  if (typeof signer === 'string') return badCredential(name, signer)
  if (isRefusal(signer)) return signer
  const digest = credentialDigest(name, presented.digest)
  const identity = identityOfToken('jwt-svid', name, token.claims, digest, toSubject)
  if (isRefusal(identity)) return identity
  const untilMs = endOfLifeMs(token.claims, { toleranceMs: config.clockTolerance })
  return { identity, keep: { untilMs, vouched: (nowMs) => keys.vouches(signer, nowMs) } }
}
