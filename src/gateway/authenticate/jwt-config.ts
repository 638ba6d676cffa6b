import { z } from 'zod'
import type { Settings } from '../../core/settings.ts'
import { ALGORITHMS } from './algorithms.ts'
import { dpopConfig } from './possession.ts'
import { requireConfig } from './requirement.ts'
import { prefixField, subjectConfig } from './subject.ts'
import { tokenCarrierFields } from './token-carrier.ts'

/** What a token's subject is when nothing else is configured. */
export const SUBJECT_OF_TOKEN = { type: 'User', id: '$claims.sub' } as const

const DAY_MS = 24 * 60 * 60 * 1000

const keyFields = (s: Settings) => ({
  jwksFile: s
    .path()
    .optional()
    .describe('File with the JSON Web Key Set that tokens are verified with; default discovery by `issuer`.'),
  jwksUri: s.url().optional().describe('Address of the JSON Web Key Set; default discovery by `issuer`.'),
  secret: s
    .secret()
    .optional()
    .describe('Shared secret for HS256, HS384 and HS512, at least as long as the hash; default none.'),
  insecure: z
    .boolean()
    .default(false)
    .describe(
      'Allows keys over plain http from other machines, default false. Anybody on the way can then forge tokens.',
    ),
  refresh: s
    .duration({ minMs: 1000, maxMs: DAY_MS })
    .optional()
    .describe('Age at which fetched keys are fetched again in the background, default 5m.'),
  cooldown: s
    .duration({ minMs: 100, maxMs: DAY_MS })
    .optional()
    .describe('Least time between two fetches because of keys that are not known, default 30s.'),
  maxStale: s
    .duration({ minMs: 1000, maxMs: 7 * DAY_MS })
    .optional()
    .describe('For how long fetched keys are used while the provider does not answer, default 1h.'),
  timeout: s
    .duration({ minMs: 10, maxMs: 60_000 })
    .optional()
    .describe('Time for one answer of the provider, default 5s.'),
})

/** Configuration of a `jwt` authenticator. */
export const jwtConfig = (s: Settings) =>
  z.strictObject({
    type: z.literal('jwt'),
    issuer: z
      .string()
      .min(1)
      .describe(
        'What `iss` must be, exactly. Without jwksFile, jwksUri and secret, keys are found by its OpenID discovery.',
      ),
    audience: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1)], {
        error: 'expected a non-empty string, or a list of them',
      })
      .optional()
      .describe(
        'What `aud` must contain one of; default none, and then a token that has an `aud` is refused.',
      ),
    ...keyFields(s),
    algorithms: z
      .array(z.enum(ALGORITHMS))
      .min(1)
      .optional()
      .describe('Accepted signature algorithms; default every asymmetric one, or HS256 with a secret.'),
    typ: z
      .enum(['any', 'at+jwt'])
      .default('any')
      .describe('`at+jwt` accepts only OAuth access tokens by RFC 9068; default any.'),
    clockTolerance: s
      .duration({ maxMs: 300_000 })
      .prefault('5s')
      .describe('How far clocks may differ where exp, nbf and iat are looked at, default 5s.'),
    ...tokenCarrierFields(s),
    require: requireConfig(s)
      .optional()
      .describe('What every token must show beyond being valid, default nothing more.'),
    dpop: dpopConfig(s).optional().describe('Tokens bound to a key by DPoP (RFC 9449).'),
    subject: subjectConfig(SUBJECT_OF_TOKEN).optional(),
    prefix: prefixField(),
  })

export type JwtConfig = z.infer<ReturnType<typeof jwtConfig>>
