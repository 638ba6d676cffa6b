import { z } from 'zod'
import type { Settings } from '../../core/settings.ts'
import { isTrustDomain } from './spiffe-id.ts'
import { prefixField, subjectConfig } from './subject.ts'
import { tokenCarrierFields } from './token-carrier.ts'

export const SUBJECT_OF_SVID = { type: 'Workload', id: '$claims.sub' } as const

const DAY_MS = 24 * 60 * 60 * 1000

/** Configuration of a `jwt-svid` authenticator. */
export const jwtSvidConfig = (s: Settings) =>
  z.strictObject({
    type: z.literal('jwt-svid'),
    trustDomain: z
      .string()
      .refine(isTrustDomain, 'expected the name of a trust domain, such as corp.example')
      .describe('Trust domain that the SPIFFE ID in `sub` must be of.'),
    audience: z
      .union([z.string().min(1), z.array(z.string().min(1)).min(1)], {
        error: 'expected a non-empty string, or a list of them',
      })
      .describe('What `aud` must contain one of.'),
    issuer: z.string().min(1).optional().describe('What `iss` must be, exactly; default there must be none.'),
    bundleFile: s
      .path()
      .optional()
      .describe('File with the SPIFFE bundle of the trust domain; or bundleUrl.'),
    bundleUrl: s.url().optional().describe('Bundle endpoint of the trust domain (https_web); or bundleFile.'),
    insecure: z
      .boolean()
      .default(false)
      .describe(
        'Allows a bundle over plain http from other machines, default false. Anybody on the way can then forge SVIDs.',
      ),
    refresh: s
      .duration({ minMs: 1000, maxMs: DAY_MS })
      .prefault('5m')
      .describe('Age at which a fetched bundle is fetched again in the background, default 5m.'),
    cooldown: s
      .duration({ minMs: 100, maxMs: DAY_MS })
      .prefault('30s')
      .describe('Least time between two fetches because of keys that are not known, default 30s.'),
    maxStale: s
      .duration({ minMs: 1000, maxMs: 7 * DAY_MS })
      .prefault('1h')
      .describe('For how long a fetched bundle is used while the endpoint does not answer, default 1h.'),
    timeout: s
      .duration({ minMs: 10, maxMs: 60_000 })
      .prefault('5s')
      .describe('Time for one answer of the endpoint, default 5s.'),
    clockTolerance: s
      .duration({ maxMs: 300_000 })
      .prefault('5s')
      .describe('How far clocks may differ where exp, nbf and iat are looked at, default 5s.'),
    ...tokenCarrierFields(s),
    subject: subjectConfig(SUBJECT_OF_SVID).optional(),
    prefix: prefixField(),
  })

export type JwtSvidConfig = z.infer<ReturnType<typeof jwtSvidConfig>>
