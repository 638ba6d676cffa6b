import { hash, randomBytes } from 'node:crypto'
import { z } from 'zod'
import type { JsonObject } from '../../core/json.ts'
import { type Refusal, refuse } from '../../core/refusals.ts'
import type { Preparation, Settings } from '../../core/settings.ts'
import type { SharedUses } from '../../core/shared-uses.ts'
import { sharedWaitOf } from '../../core/shared-wait.ts'
import { ASYMMETRIC_ALGORITHMS } from './algorithms.ts'
import type { Circumstances, Prove } from './authenticator.ts'
import { createNonceIssuer, type NonceIssuer } from './dpop-nonce.ts'
import { checkProof, type GoodProof, type ProofRules } from './dpop-proof.ts'
import { type KeyBinding, keyBindingOf } from './key-binding.ts'
import { memoryReplayStore, type ReplayAnswer, type ReplayStore } from './replay-store.ts'

/** How tokens that are bound to a key are taken; a binding is enforced without any of it. */
export const dpopConfig = (s: Settings) =>
  z.strictObject({
    required: z
      .boolean()
      .default(false)
      .describe('Refuses tokens that are not bound to a key by DPoP, default false.'),
    maxAge: s
      .duration({ minMs: 1000, maxMs: 600_000 })
      .prefault('60s')
      .describe('How old a proof may be, default 60s.'),
    nonce: z
      .boolean()
      .default(false)
      .describe(
        'Proofs must hold a nonce of the gateway, which it tells by DPoP-Nonce; the current one changes each minute; default false.',
      ),
    nonceSecret: s
      .secret()
      .optional()
      .describe('Makes the nonces, equal on all replicas; default a random one of this process.'),
  })

export type DpopConfig = z.infer<ReturnType<typeof dpopConfig>>

const DEFAULT_MAX_AGE_MS = 60_000

/** What the holder of a token has to show, made once an authenticator. */
export interface Possession {
  /** What must be shown with every request by which a token with these claims comes; a string: it cannot be. */
  readonly proofFor: (claims: JsonObject) => Prove | null | string
  readonly close: () => void
}

interface PossessionParts {
  readonly name: string
  readonly required: boolean
  readonly rules: ProofRules
  readonly nonces: NonceIssuer | null
  /** Of this process. */
  readonly replays: ReplayStore
  readonly sharedUses: SharedUses | undefined
}

/** Checks the configuration; the result is to be called when the authenticator is made. */
export const preparePossession = (
  name: string,
  config: DpopConfig | undefined,
  toleranceMs: number,
  preparation: Preparation,
): (() => Possession) => {
  if (config?.nonceSecret !== undefined && !config.nonce) {
    const message = '"nonceSecret" has no effect without "nonce: true"'
    preparation.report({ path: ['dpop', 'nonceSecret'], atKey: true, message })
  }
  const rules = { maxAgeMs: config?.maxAge ?? DEFAULT_MAX_AGE_MS, toleranceMs }
  const nonces =
    config?.nonce === true ? createNonceIssuer(config.nonceSecret?.reveal() ?? randomBytes(32)) : null
  return () => {
    // An edit must not make used proofs good again.
    const { value, release } = preparation.share('used DPoP proofs', memoryReplayStore)
    const { sharedUses } = preparation
    const parts = { name, required: config?.required === true, rules, nonces, replays: value, sharedUses }
    return { proofFor: (claims) => proofFor(claims, parts), close: release }
  }
}

const proofFor = (claims: JsonObject, parts: PossessionParts): Prove | null | string => {
  const binding = keyBindingOf(claims)
  if (typeof binding === 'string') return binding
  const jkt = binding?.jkt ?? null
  if (jkt === null && parts.required) return 'the token is not bound to a key by DPoP, which is required'
  return binding === null ? null : proveBinding(binding, parts)
}

const proveBinding =
  ({ jkt, certificate }: KeyBinding, parts: PossessionParts): Prove =>
  (presented, circumstances) => {
    const { request, nowMs } = circumstances
    if (certificate !== null && request.peerCertificate?.thumbprint !== certificate) {
      return certificateRefusal(parts.name)
    }
    if (jkt === null) return null
    if (presented.dpop !== true)
      return dpopRefusal(parts.name, 'the token is bound to a key and came by another scheme than DPoP')
    return checkProof(presented, request, jkt, parts.rules, nowMs).then((proof) =>
      typeof proof === 'string'
        ? proofRefusal(parts.name, proof)
        : useProof(proof, jkt, parts, circumstances),
    )
  }

// A request is taken again from the start when the configuration changes while it waits: its proof is then the same use.
const usedBy = new WeakMap<object, string>()

const useProof = async (
  { jti, nonce, untilMs }: GoodProof,
  jkt: string,
  { name, nonces, replays, sharedUses }: PossessionParts,
  { request, nowMs, signal }: Circumstances,
): Promise<Refusal | null> => {
  if (nonces !== null && (nonce === null || !nonces.accepts(nonce, nowMs))) {
    return nonceRefusal(name, nonces.current(nowMs))
  }
  const use = hash('sha256', `${jkt} ${jti}`, 'base64url')
  const arrival = request.arrival ?? request.headers
  if (usedBy.get(arrival) === use) return null
  const useElsewhere = () => sharedUses?.use('dpop', use, untilMs - nowMs, sharedWaitOf(signal)) ?? null
  switch (await useOnce(use, untilMs, nowMs, replays, useElsewhere)) {
    case 'first':
      usedBy.set(arrival, use)
      return null
    case 'used':
      return proofRefusal(name, 'the DPoP proof was used before (jti)')
    case 'full':
    case 'unavailable':
      return refuse(
        'authenticate',
        'authenticator_unavailable',
        `${name}: whether a DPoP proof was used before cannot be told at present`,
      )
  }
}

/** Here first: what was used here is refused whether others can be asked or not, also after an edit of where they are. */
const useOnce = (
  use: string,
  untilMs: number,
  nowMs: number,
  replays: ReplayStore,
  useElsewhere: () => ReturnType<SharedUses['use']>,
): ReplayAnswer | Promise<ReplayAnswer> => {
  const here = replays.use(use, untilMs, nowMs)
  return here === 'used' ? here : (useElsewhere() ?? here)
}

const ALGS = `algs="${ASYMMETRIC_ALGORITHMS.join(' ')}"`

/** The challenge of a route that takes nothing but tokens bound by DPoP. */
export const DPOP_CHALLENGE = { scheme: 'DPoP', parameters: [ALGS] }

const challenged = (name: string, detail: string, headers: readonly string[]): Refusal =>
  refuse('authenticate', 'unauthenticated', `${name}: ${detail}`, { headers })

/** @see https://www.rfc-editor.org/rfc/rfc9449#section-7.1 */
const dpopRefusal = (name: string, detail: string): Refusal =>
  challenged(name, detail, ['WWW-Authenticate', `DPoP error="invalid_token", ${ALGS}`])

const proofRefusal = (name: string, detail: string): Refusal =>
  challenged(name, detail, ['WWW-Authenticate', `DPoP error="invalid_dpop_proof", ${ALGS}`])

/** @see https://www.rfc-editor.org/rfc/rfc9449#section-9 */
const nonceRefusal = (name: string, nonce: string): Refusal =>
  challenged(name, 'the DPoP proof holds no nonce, or an old one', [
    ...['WWW-Authenticate', `DPoP error="use_dpop_nonce", ${ALGS}`],
    ...['DPoP-Nonce', nonce],
  ])

/** @see https://www.rfc-editor.org/rfc/rfc8705#section-3 */
const certificateRefusal = (name: string): Refusal =>
  challenged(name, 'the token is bound to a certificate that the caller has not shown', [
    ...['WWW-Authenticate', 'Bearer error="invalid_token"'],
  ])
