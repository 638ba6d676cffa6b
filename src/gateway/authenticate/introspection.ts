import { type ClientIdentity, parseClientKey } from '../../core/client-authentication.ts'
import type { Clock } from '../../core/clock.ts'
import type { JsonObject } from '../../core/json.ts'
import { isRefusal, refuse } from '../../core/refusals.ts'
import type { Requirement } from '../../core/requirement.ts'
import type { Preparation } from '../../core/settings.ts'
import {
  type AuthenticatorBody,
  badCredential,
  type Challenge,
  defineAuthenticator,
  type Presented,
  type Verification,
} from './authenticator.ts'
import { credentialDigest } from './credential-digest.ts'
import { createIntrospectionClient, type IntrospectionClient } from './introspection-client.ts'
import { type IntrospectionConfig, introspectionConfig, SUBJECT_OF_ANSWER } from './introspection-config.ts'
import { audienceProblem, timesProblem } from './jwt-claims.ts'
import { MOST_TOKEN_LENGTH, parsePresented } from './jwt-parse.ts'
import { DPOP_CHALLENGE, type Possession, preparePossession } from './possession.ts'
import { transportProblem } from './provider.ts'
import { freshUntilMs, requirementOf, unmet } from './requirement.ts'
import { compileSubject, literalType, type ToSubject } from './subject.ts'
import { tokenCarrier } from './token-carrier.ts'
import { identityOfToken } from './token-identity.ts'

/**
 * A token that only its issuer can read, who is asked about it.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7662
 */
export const introspection = defineAuthenticator({
  type: 'introspection',
  config: introspectionConfig,
  prepare: (name, config, preparation) => {
    const { clock, log } = preparation
    const client = clientOf(config, preparation)
    const problem = transportProblem(config.endpoint, config.insecure)
    if (problem !== null) {
      const message = `tokens cannot be sent to it: ${problem}; use https, or say "insecure: true"`
      preparation.report({ path: ['endpoint'], message })
    }
    const prefix = config.prefix ?? ''
    const mapping = config.subject ?? SUBJECT_OF_ANSWER
    const toSubject = compileSubject(name, mapping, prefix, preparation)
    const type = literalType(mapping.type)
    const description = {
      carrier: tokenCarrier(config, preparation),
      // What has the form of a JWT is for a jwt authenticator, where the route has one.
      selector: { shape: 'opaque' },
      subjectTypes: type === null ? null : [type],
      prefix,
    }
    const possess = preparePossession(name, config.dpop, config.clockTolerance, preparation)
    const options = {
      authenticator: name,
      endpoint: config.endpoint,
      client,
      timeoutMs: config.timeout,
      insecure: config.insecure,
      negativeTtlMs: config.negativeCacheTtl,
      clock,
      log,
    }
    const parts = {
      name,
      rules: rulesOf(config),
      toSubject,
      clock,
      requirement: config.require === undefined ? null : requirementOf(config.require),
      challenge: config.dpop?.required === true ? DPOP_CHALLENGE : { scheme: 'Bearer', parameters: [] },
    }
    return {
      description,
      create: () =>
        createIntrospection({
          ...parts,
          provider: createIntrospectionClient(options),
          possession: possess(),
        }),
    }
  },
})

const clientOf = (config: IntrospectionConfig, preparation: Preparation): ClientIdentity => {
  const { clientId, clientSecret, privateKey, endpoint, assertionAudience: audience = endpoint } = config
  if ((clientSecret === undefined) === (privateKey === undefined)) {
    const message = 'expected one of clientSecret and privateKey: the provider must know who asks'
    preparation.report({ path: [], message })
  }
  if (privateKey === undefined) {
    return { clientId, proof: { secret: clientSecret?.reveal() ?? '' }, audience }
  }
  const key = parseClientKey(privateKey.reveal())
  if (key !== null) return { clientId, proof: { key }, audience }
  preparation.report({
    path: ['privateKey'],
    message: 'expected a private key as PEM or JWK: RSA, EC or Ed25519',
  })
  return { clientId, proof: { secret: '' }, audience }
}

interface AnswerRules {
  readonly issuer: string | null
  /** Null: `aud` is not looked at. */
  readonly audience: readonly string[] | null
  readonly toleranceMs: number
  readonly cacheTtlMs: number
}

const rulesOf = ({ issuer, audience, clockTolerance, cacheTtl }: IntrospectionConfig): AnswerRules => ({
  issuer: issuer ?? null,
  audience: audience === undefined ? null : typeof audience === 'string' ? [audience] : audience,
  toleranceMs: clockTolerance,
  cacheTtlMs: cacheTtl,
})

interface IntrospectionParts {
  readonly name: string
  readonly rules: AnswerRules
  readonly toSubject: ToSubject
  readonly clock: Clock
  readonly requirement: Requirement | null
  readonly challenge: Challenge
  readonly provider: IntrospectionClient
  readonly possession: Possession
}

/** The characters that a token may have. @see https://www.rfc-editor.org/rfc/rfc6750#section-2.1 */
const TOKEN = /^[A-Za-z0-9._~+/-]+=*$/

const createIntrospection = (parts: IntrospectionParts): AuthenticatorBody => ({
  challenge: parts.challenge,
  declines: (presented) =>
    typeof parsePresented(presented) === 'string' ? null : 'the token is a JWT, which others can read',
  authenticate: (presented) => {
    const { value } = presented
    if (value.length > MOST_TOKEN_LENGTH) return badCredential(parts.name, 'the token is too long')
    if (!TOKEN.test(value)) return badCredential(parts.name, 'the token has not the form of one')
    return introspect(presented, parts)
  },
  fromClaims: (claims) =>
    identityOfToken('introspection', parts.name, claims, credentialDigest(parts.name, ''), parts.toSubject),
  close: () => {
    parts.provider.close()
    parts.possession.close()
  },
})

const introspect = async (presented: Presented, parts: IntrospectionParts): Promise<Verification> => {
  const { name, provider, possession, requirement, clock, rules } = parts
  const answer = await provider.ask(presented)
  if (typeof answer === 'string') {
    const detail = `${name}: the provider does not tell about tokens: ${answer}`
    return refuse('authenticate', 'authenticator_unavailable', detail)
  }
  if (!answer.active) return badCredential(name, 'the token is not active')
  const { claims } = answer
  const nowMs = clock.nowMs()
  const problem = answerProblem(claims, rules, nowMs)
  if (problem !== null) return badCredential(name, problem)
  const prove = possession.proofFor(claims)
  if (typeof prove === 'string') return badCredential(name, prove)
  const digest = credentialDigest(name, presented.digest)
  const identity = identityOfToken('introspection', name, claims, digest, parts.toSubject)
  if (isRefusal(identity)) return identity
  const refusal = requirement === null ? null : unmet(identity, requirement, nowMs)
  if (refusal !== null) return refusal
  const untilMs = Math.min(
    nowMs + rules.cacheTtlMs,
    typeof claims.exp === 'number' ? claims.exp * 1000 : Number.POSITIVE_INFINITY,
    requirement === null ? Number.POSITIVE_INFINITY : freshUntilMs(claims, requirement),
  )
  return { identity, keep: { untilMs, vouched: () => true }, prove }
}

const answerProblem = (claims: JsonObject, rules: AnswerRules, nowMs: number): string | null => {
  const { issuer, audience, toleranceMs } = rules
  if (issuer !== null && claims.iss !== undefined && claims.iss !== issuer) {
    return `the token was not issued by ${issuer}`
  }
  const times = timesProblem(claims, toleranceMs, nowMs)
  if (times !== null) return times
  return audience === null ? null : audienceProblem(claims.aud, audience)
}
