import type { z } from 'zod'
import type { Carrier } from '../../core/carrier.ts'
import type { Ending } from '../../core/ending.ts'
import type { Identity } from '../../core/identity.ts'
import type { JsonObject } from '../../core/json.ts'
import type { OwnAnswer } from '../../core/own-answer.ts'
import { type Refusal, refuse } from '../../core/refusals.ts'
import type { CanonicalRequest } from '../../core/request.ts'
import type { Preparation, Settings } from '../../core/settings.ts'
import type { SharedWait } from '../../core/shared-wait.ts'
import type { SignInWish } from './sign-in-wish.ts'

/** A credential as it came in by a carrier, not verified. Never to be logged. */
export interface Presented {
  /** Empty when the carrier was there with nothing in it. */
  readonly value: string
  /** SHA-256 of the value, in hex. */
  readonly digest: string
  /** True when it came by the scheme `DPoP`, which promises a proof of possession beside it. */
  readonly dpop?: boolean
}

/** The request that a credential came with, for what must be proved for each request. */
export interface Circumstances {
  /** Milliseconds since the epoch. */
  readonly nowMs: number
  readonly request: CanonicalRequest
  /** Made when it is asked for; aborted when the caller has gone. */
  readonly signal: () => AbortSignal
}

/**
 * Checks what has to be shown with every request beside the credential itself, such as a DPoP proof.
 *
 * @returns null when all is well.
 */
export type Prove = (
  presented: Presented,
  circumstances: Circumstances,
) => Refusal | null | Promise<Refusal | null>

/** What the checks between authenticators need to know of one; no check knows the kinds. */
export interface Description {
  readonly carrier: Carrier
  /**
   * What it takes of its carrier, facet by facet, such as `{ shape: 'jwt', issuer: '…' }`.
   *
   * Two authenticators of one carrier never take the same credential when some facet that both name
   * differs; a facet that is not named stands for every value.
   */
  readonly selector: Readonly<Record<string, string>>
  /** Types of the subjects that it makes; null when only a request can tell. */
  readonly subjectTypes: readonly string[] | null
  /** What every subject id of it starts with; may be empty. */
  readonly prefix: string
  /**
   * Whose people its subjects are, and by what they are named: equal for two authenticators only when equal subjects
   * of theirs are one person. Default: nobody knows.
   */
  readonly people?: string
}

/** How a 401 names the way to authenticate. @see https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1 */
export interface Challenge {
  readonly scheme: string
  /** Parameters as they are written, such as `header="X-Api-Key"`. */
  readonly parameters: readonly string[]
}

/** For how long a verified identity may be used again without asking the authenticator. */
export interface Keep {
  /** Milliseconds since the epoch. */
  readonly untilMs: number
  /** False when what the credential was verified with is no longer good. Called on every hit, so it must be cheap. */
  readonly vouched: (nowMs: number) => boolean
}

export interface Verified {
  readonly identity: Identity
  /** Null: not kept, because asking again is as cheap as looking it up. */
  readonly keep: Keep | null
  /** Asked by the stage before the identity is used, this time and on every hit; default nothing is to be proved. */
  readonly prove?: Prove | null
  /** Values of `Set-Cookie` for the answer to this request; they are not kept. */
  readonly setCookies?: readonly string[]
}

export type Verification = Verified | Refusal

/** What an authenticator's own endpoint is asked. */
export interface OwnRequest {
  readonly request: CanonicalRequest
  /** The decoded parameters of the query. */
  readonly query: URLSearchParams
  /** Null for a method that has none. */
  readonly body: Buffer | null
  readonly nowMs: number
  readonly signal: AbortSignal
  readonly wait: SharedWait
}

/** What came of it, and who it was about if that is known. */
export interface OwnAnswered {
  readonly identity: Identity | null
  readonly answer: OwnAnswer
  /** To be known everywhere before the answer goes out; default none. */
  readonly endings?: readonly Ending[]
  /** Forgets what has ended; only when it is known everywhere, since nobody could tell of it any more. Never rejects. */
  readonly forget?: (() => Promise<void>) | undefined
}

/** A path that an authenticator answers itself, on every host: such as the way back from a sign-in. */
export interface OwnEndpoint {
  /** Below `/.sallyport/`. */
  readonly path: string
  readonly methods: readonly string[]
  /** False when it is for another authenticator with an endpoint of this path. */
  readonly takes: (asked: OwnRequest) => boolean
  /** Must end by itself. It is recorded, and answered after that. */
  readonly serve: (asked: OwnRequest) => Promise<OwnAnswered | Refusal>
}

/** One configured way to prove who the caller is. */
export interface Authenticator {
  /** The entry in the configuration. */
  readonly name: string
  readonly type: string
  readonly carrier: Carrier
  readonly description: Description
  /** Null for a kind that never asks for a credential. */
  readonly challenge: Challenge | null
  /**
   * Null when the credential is this authenticator's to decide, else why not.
   *
   * Looks only at what is not verified: the shape, the issuer, the type. The reason is for operators and
   * holds no part of the credential.
   */
  readonly declines: (presented: Presented, request: CanonicalRequest) => string | null
  /**
   * Decides on a credential. What belongs to one request only goes into `prove`, since the answer is kept.
   *
   * @returns who it is; or `unauthenticated`, `denied` (a claim that the subject needs is missing), or
   *   `authenticator_unavailable`. A promise only when something has to be computed or fetched.
   */
  readonly authenticate: (
    presented: Presented,
    circumstances: Circumstances,
  ) => Verification | Promise<Verification>
  /**
   * Where the person behind a request without a good credential can sign in; null when it is not a page that asks.
   *
   * @param wish what the provider is asked for besides; default nothing.
   */
  readonly signIn?: (request: CanonicalRequest, wish?: SignInWish) => string | null
  readonly endpoints?: readonly OwnEndpoint[]
  /** The identity that verified claims would make, for `explain`; only for kinds that map claims. */
  readonly fromClaims?: (claims: JsonObject) => Identity | Refusal
  /** Stops what runs in the background. */
  readonly close?: () => void
}

/** What a kind has to say for itself; the rest is the same for all. */
export type AuthenticatorBody = Pick<
  Authenticator,
  'challenge' | 'declines' | 'authenticate' | 'signIn' | 'endpoints' | 'fromClaims' | 'close'
>

/** Makes the authenticator; nothing is opened or fetched before. */
export interface AuthenticatorFactory {
  (): Authenticator
  /** For `findOverlaps` and `findCollisions`. */
  readonly description: Description
}

/** One kind of authenticator, its configuration type erased so that all kinds fit one table. */
export interface AuthenticatorKind<Schema extends z.ZodObject = z.ZodObject> {
  readonly type: string
  readonly config: (settings: Settings) => Schema
  /** Reads files, checks and reports. The factory must not be called when something was reported. */
  readonly prepare: (name: string, config: unknown, preparation: Preparation) => AuthenticatorFactory
}

/**
 * Declares a kind of authenticator.
 *
 * Does not check that `prepare` is given what `config` parsed: that is the caller's part.
 */
export const defineAuthenticator = <Schema extends z.ZodObject>(definition: {
  readonly type: string
  readonly config: (settings: Settings) => Schema
  readonly prepare: (
    name: string,
    config: z.output<Schema>,
    preparation: Preparation,
  ) => { readonly description: Description; readonly create: () => AuthenticatorBody }
}): AuthenticatorKind<Schema> => ({
  type: definition.type,
  config: definition.config,
  prepare: (name, config, preparation) => {
    // The one cast: the table of kinds cannot know the type that belongs to each `type` literal.
    const { description, create } = definition.prepare(name, config as z.output<Schema>, preparation)
    const { type } = definition
    const factory = () => ({ name, type, carrier: description.carrier, description, ...create() })
    return Object.assign(factory, { description })
  },
})

/** The refusal of a bad credential. @param detail why, without any part of the credential. */
export const badCredential = (authenticator: string, detail: string): Refusal =>
  refuse('authenticate', 'unauthenticated', `${authenticator}: ${detail}`)
