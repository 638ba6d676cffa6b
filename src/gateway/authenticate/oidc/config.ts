import { z } from 'zod'
import type { Settings } from '../../../core/settings.ts'
import { SUBJECT_OF_TOKEN } from '../jwt-config.ts'
import { prefixField, subjectConfig } from '../subject.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/** What a sign-in sets itself, and nobody else may. */
const RESERVED_PARAMETERS: ReadonlySet<string> = new Set([
  ...['client_id', 'client_secret', 'code_challenge', 'code_challenge_method', 'nonce', 'redirect_uri'],
  ...['request', 'request_uri', 'response_mode', 'response_type', 'scope', 'state'],
])

/** Null when the parameter may be sent along, else why not. */
export const parameterProblem = (name: string): string | null =>
  RESERVED_PARAMETERS.has(name) ? `${name} is set by the sign-in itself` : null

const sessionFields = (s: Settings) =>
  z
    .strictObject({
      store: z
        .enum(['cookie', 'redis'])
        .default('cookie')
        .describe(
          'Where sessions are kept, sealed: cookie is the browser itself; redis the Redis of grants.store, the browser having a handle only. Default cookie.',
        ),
      idle: s
        .duration({ minMs: MINUTE_MS, maxMs: 30 * DAY_MS })
        .prefault('1h')
        .describe('A session that was not used for so long has ended, default 1h.'),
      lifetime: s
        .duration({ minMs: MINUTE_MS, maxMs: 90 * DAY_MS })
        .prefault('12h')
        .describe('A session ends so long after its sign-in, however much it is used, default 12h.'),
      refreshBefore: s
        .duration({ minMs: 1000, maxMs: DAY_MS })
        .prefault('1m')
        .describe(
          'How long before they expire the tokens of a session are refreshed, where the provider gave a refresh token; at most half their life, default 1m.',
        ),
    })
    .prefault({})
    .describe('How long people stay signed in.')

/** Configuration of an `oidc` authenticator. */
export const oidcConfig = (s: Settings) =>
  z.strictObject({
    type: z.literal('oidc'),
    issuer: s.url().describe('The OpenID provider; its metadata is found by OpenID discovery.'),
    clientId: z.string().min(1).describe('What this gateway is called at the provider.'),
    clientSecret: s
      .secret()
      .optional()
      .describe('Secret of the client at the provider; default none, for a public client.'),
    scopes: z
      .array(z.string().regex(/^[\x21\x23-\x5b\x5d-\x7e]+$/, 'expected a scope without blanks'))
      .min(1)
      .default(['openid'])
      .describe(
        'What is asked for; must hold openid, default [openid]. Many providers refresh only with offline_access.',
      ),
    parameters: z
      .record(z.string().min(1), z.string())
      .optional()
      .describe('More parameters of the authorization request, such as { acr_values: mfa }; default none.'),
    secrets: z
      .array(s.secret())
      .min(1)
      .optional()
      .describe(
        'Secrets of at least 32 characters that seal sessions: the first one seals, all of them open. Default one derived from clientSecret; shorter than 16 characters, or none, that is made anew at each start.',
      ),
    session: sessionFields(s),
    afterLogout: z
      .string()
      .regex(/^\/(?!\/)[\x21-\x5b\x5d-\x7e]*$/, 'expected a path such as /goodbye')
      .optional()
      .describe(
        'Path of this host to which the provider sends people back after a logout. The provider must know its URL. Default none: they stay at the provider.',
      ),
    insecure: z
      .boolean()
      .default(false)
      .describe('Allows plain http to a provider on another machine, default false.'),
    timeout: s
      .duration({ minMs: 10, maxMs: MINUTE_MS })
      .prefault('5s')
      .describe('Time for one answer of the provider, default 5s.'),
    clockTolerance: s
      .duration({ maxMs: 300_000 })
      .prefault('5s')
      .describe('How far the clock of the provider may differ, default 5s.'),
    subject: subjectConfig(SUBJECT_OF_TOKEN).optional(),
    prefix: prefixField(),
  })

export type OidcConfig = z.infer<ReturnType<typeof oidcConfig>>
