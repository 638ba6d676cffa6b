import type { Clock } from '../../core/clock.ts'
import { isRefusal } from '../../core/refusals.ts'
import type { Requirement } from '../../core/requirement.ts'
import type { Algorithm } from './algorithms.ts'
import {
  type AuthenticatorBody,
  badCredential,
  type Challenge,
  defineAuthenticator,
  type Presented,
  type Prove,
  type Verification,
} from './authenticator.ts'
import { credentialDigest } from './credential-digest.ts'
import { type ClaimRules, claimsProblem, endOfLifeMs, issuerProblem } from './jwt-claims.ts'
import { type JwtConfig, jwtConfig, SUBJECT_OF_TOKEN } from './jwt-config.ts'
import { acceptedAlgorithms, prepareKeys } from './jwt-keys.ts'
import { type ParsedJwt, parsePresented } from './jwt-parse.ts'
import { acceptedAlgorithm, findSigner } from './jwt-signature.ts'
import type { KeySource } from './key-source.ts'
import { DPOP_CHALLENGE, type Possession, preparePossession } from './possession.ts'
import { freshUntilMs, requirementOf, unmet } from './requirement.ts'
import { compileSubject, literalType, peopleOf, type ToSubject } from './subject.ts'
import { tokenCarrier } from './token-carrier.ts'
import { identityOfToken } from './token-identity.ts'

/**
 * A JSON Web Token, signed by a configured issuer.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7519, https://www.rfc-editor.org/rfc/rfc8725, https://www.rfc-editor.org/rfc/rfc9068
 */
export const jwt = defineAuthenticator({
  type: 'jwt',
  config: jwtConfig,
  prepare: (name, config, preparation) => {
    const algorithms = acceptedAlgorithms(config, preparation)
    const keys = prepareKeys(name, config, algorithms, preparation)
    const prefix = config.prefix ?? ''
    const mapping = config.subject ?? SUBJECT_OF_TOKEN
    const toSubject = compileSubject(name, mapping, prefix, preparation)
    const type = literalType(mapping.type)
    const description = {
      carrier: tokenCarrier(config, preparation),
      selector: selectorOf(config),
      subjectTypes: type === null ? null : [type],
      prefix,
      people: peopleOf(config.issuer, mapping, prefix),
    }
    const rules = rulesOf(config)
    const possess = preparePossession(name, config.dpop, rules.toleranceMs, preparation)
    const requirement = config.require === undefined ? null : requirementOf(config.require)
    const challenge = config.dpop?.required === true ? DPOP_CHALLENGE : BEARER_CHALLENGE
    const { clock } = preparation
    const { typ } = config
    const parts = { name, typ, algorithms, rules, toSubject, clock, requirement, challenge }
    return { description, create: () => createJwt({ ...parts, keys: keys(), possession: possess() }) }
  },
})

const selectorOf = ({ issuer, typ }: JwtConfig): Readonly<Record<string, string>> =>
  typ === 'any' ? { shape: 'jwt', issuer } : { shape: 'jwt', issuer, typ }

const rulesOf = ({ issuer, audience = [], clockTolerance }: JwtConfig): ClaimRules => ({
  issuer,
  audience: typeof audience === 'string' ? [audience] : audience,
  toleranceMs: clockTolerance,
})

const BEARER_CHALLENGE: Challenge = { scheme: 'Bearer', parameters: [] }

interface JwtParts {
  readonly name: string
  readonly typ: JwtConfig['typ']
  readonly algorithms: ReadonlySet<Algorithm>
  readonly rules: ClaimRules
  readonly toSubject: ToSubject
  readonly clock: Clock
  readonly keys: KeySource
  readonly possession: Possession
  readonly requirement: Requirement | null
  readonly challenge: Challenge
}

const createJwt = (parts: JwtParts): AuthenticatorBody => ({
  challenge: parts.challenge,
  declines: (presented) => {
    const token = parsePresented(presented)
    return typeof token === 'string' ? token : selectionProblem(token, parts)
  },
  authenticate: (presented, { nowMs }) => {
    const token = parsePresented(presented)
    if (typeof token === 'string') return badCredential(parts.name, token)
    const problem = selectionProblem(token, parts) ?? claimsProblem(token.claims, parts.rules, nowMs)
    if (problem !== null) return badCredential(parts.name, problem)
    const algorithm = acceptedAlgorithm(token, parts.algorithms)
    if (algorithm === null) return badCredential(parts.name, 'the alg of the token is not accepted')
    const prove = parts.possession.proofFor(token.claims)
    if (typeof prove === 'string') return badCredential(parts.name, prove)
    return verify(token, algorithm, presented, prove, parts)
  },
  fromClaims: (claims) =>
    identityOfToken('jwt', parts.name, claims, credentialDigest(parts.name, ''), parts.toSubject),
  close: () => {
    parts.keys.close()
    parts.possession.close()
  },
})

const selectionProblem = (token: ParsedJwt, { typ, rules }: JwtParts): string | null => {
  const wrongTyp = typ !== 'any' && token.typ !== typ
  return issuerProblem(token.claims, rules) ?? (wrongTyp ? `the typ of the token is not ${typ}` : null)
}

const verify = async (
  token: ParsedJwt,
  algorithm: Algorithm,
  presented: Presented,
  prove: Prove | null,
  parts: JwtParts,
): Promise<Verification> => {
  const { name, keys, rules, requirement, clock } = parts
  const signer = await findSigner(token, algorithm, keys, clock)
  if (typeof signer === 'string') return badCredential(name, signer)
  if (isRefusal(signer)) return signer
  const digest = credentialDigest(name, presented.digest)
  const identity = identityOfToken('jwt', name, token.claims, digest, parts.toSubject)
  if (isRefusal(identity)) return identity
  const vouched = (nowMs: number) => keys.vouches(signer, nowMs)
  const endMs = endOfLifeMs(token.claims, rules)
  if (requirement === null) return { identity, keep: { untilMs: endMs, vouched }, prove }
  const refusal = unmet(identity, requirement, clock.nowMs())
  if (refusal !== null) return refusal
  const untilMs = Math.min(endMs, freshUntilMs(token.claims, requirement))
  return { identity, keep: { untilMs, vouched }, prove }
}
