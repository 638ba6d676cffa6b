import { z } from 'zod'
import type { Settings } from '../../core/settings.ts'
import { dpopConfig } from './possession.ts'
import { requireConfig } from './requirement.ts'
import { prefixField, subjectConfig } from './subject.ts'
import { tokenCarrierFields } from './token-carrier.ts'

/** What a token's subject is when nothing else is configured. */
export const SUBJECT_OF_ANSWER = { type: 'User', id: '$claims.sub' } as const

/** Configuration of an `introspection` authenticator. */
export const introspectionConfig = (s: Settings) =>
  z.strictObject({
    type: z.literal('introspection'),
    endpoint: s.url().describe('Address of the introspection endpoint.'),
    clientId: z.string().min(1).describe('The name of the gateway at the provider.'),
    clientSecret: s
      .secret()
      .optional()
      .describe('Proves the gateway to the provider, by HTTP Basic; or privateKey.'),
    privateKey: s
      .secret()
      .optional()
      .describe(
        'Private key (PEM or JWK) that signs what proves the gateway (private_key_jwt); or clientSecret.',
      ),
    assertionAudience: z
      .string()
      .min(1)
      .optional()
      .describe('The `aud` of what privateKey signs, default the endpoint.'),
    issuer: z
      .string()
      .min(1)
      .optional()
      .describe('What `iss` of the answer must be where it has one, default anything.'),
    audience: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1)], {
        error: 'expected a non-empty string, or a list of them',
      })
      .optional()
      .describe('What `aud` of the answer must contain one of; default it is not looked at.'),
    cacheTtl: s
      .duration({ maxMs: 30_000 })
      .prefault('30s')
      .describe(
        'How long an active token is not asked about again, at most 30s and never beyond its `exp`; default 30s.',
      ),
    negativeCacheTtl: s
      .duration({ maxMs: 30_000 })
      .prefault('5s')
      .describe('How long an inactive token is not asked about again, at most 30s; default 5s.'),
    timeout: s
      .duration({ minMs: 10, maxMs: 60_000 })
      .prefault('2s')
      .describe('Time for one answer of the provider, default 2s.'),
    insecure: z
      .boolean()
      .default(false)
      .describe(
        'Allows plain http to other machines, default false. Anybody on the way can then read tokens.',
      ),
    clockTolerance: s
      .duration({ maxMs: 300_000 })
      .prefault('5s')
      .describe('How far clocks may differ where exp, nbf and iat are looked at, default 5s.'),
    ...tokenCarrierFields(s),
    require: requireConfig(s)
      .optional()
      .describe('What every token must show beyond being active, default nothing more.'),
    dpop: dpopConfig(s).optional().describe('Tokens bound to a key by DPoP (RFC 9449).'),
    subject: subjectConfig(SUBJECT_OF_ANSWER).optional(),
    prefix: prefixField(),
  })

export type IntrospectionConfig = z.infer<ReturnType<typeof introspectionConfig>>
