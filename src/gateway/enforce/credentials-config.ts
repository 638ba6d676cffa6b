import { z } from 'zod'
import { type ClientIdentity, parseClientKey } from '../../core/client-authentication.ts'
import { isLoopback } from '../../core/loopback.ts'
import type { Preparation, Settings } from '../../core/settings.ts'

/** Visible ASCII, as a token or a header value may hold. */
const VISIBLE = /^[\x21-\x7e]+$/

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'

const headerField = () =>
  z
    .string()
    .regex(/^[A-Za-z0-9-]{1,64}$/, 'expected a header name')
    .default('Authorization')
    .describe(
      'Header that carries them; one other than Authorization gets the bare token; default Authorization',
    )

const tokenFields = (s: Settings) => ({
  tokenEndpoint: s.url().describe('Address of the token endpoint of the authorization server'),
  clientId: z.string().min(1).describe('The name of the gateway at the authorization server'),
  clientSecret: s.secret().optional().describe('Proves the gateway, by HTTP Basic; or privateKey'),
  privateKey: s
    .secret()
    .optional()
    .describe(
      'Private key (PEM or JWK) that signs what proves the gateway (private_key_jwt); or clientSecret',
    ),
  assertionAudience: z
    .string()
    .min(1)
    .optional()
    .describe('The aud of what privateKey signs, default the token endpoint'),
  scope: z.string().min(1).optional().describe('Scopes to ask for, with spaces between them; default none'),
  audience: z.string().min(1).optional().describe('The audience to ask for, default none'),
  resource: z.string().min(1).optional().describe('The resource to ask for (RFC 8707), default none'),
  timeout: s
    .duration({ minMs: 10, maxMs: 60_000 })
    .prefault('5s')
    .describe('Time for one answer of the token endpoint, default 5s'),
  insecure: z
    .boolean()
    .default(false)
    .describe('Allows plain http to other machines, default false. Anybody on the way can then read tokens'),
  header: headerField(),
})

/** `upstreams.<name>.credentials`. */
export const credentialsConfig = (s: Settings) =>
  z.discriminatedUnion('type', [
    z.strictObject({
      type: z.literal('basic'),
      username: z.string().min(1).describe('Name that the application knows'),
      password: s.secret().describe('Password of that name'),
    }),
    z.strictObject({
      type: z.literal('bearer'),
      token: s.secret().describe('Token that the application knows'),
      header: headerField(),
    }),
    z.strictObject({ type: z.literal('client_credentials'), ...tokenFields(s) }),
    z.strictObject({
      type: z.literal('token-exchange'),
      ...tokenFields(s),
      subjectTokenType: z
        .string()
        .min(1)
        .default(ACCESS_TOKEN)
        .describe(`Type of the token that callers bring, default ${ACCESS_TOKEN}`),
      requestedTokenType: z
        .string()
        .min(1)
        .default(ACCESS_TOKEN)
        .describe(`Type of the token that the application gets, default ${ACCESS_TOKEN}`),
    }),
  ])

export type CredentialsConfig = z.infer<ReturnType<typeof credentialsConfig>>
export type TokenConfig = Extract<CredentialsConfig, { readonly tokenEndpoint: string }>

/** Checks what the schema cannot; mistakes are reported below `credentials`. */
export const checkCredentials = (config: CredentialsConfig, report: Preparation['report']): void => {
  const wrong = (path: readonly string[], message: string): void =>
    report({ path: ['credentials', ...path], rule: 'upstream-credentials', message })
  if (config.type === 'basic') {
    if (config.username.includes(':')) wrong(['username'], 'expected a name without a colon')
    return
  }
  if (config.type === 'bearer') {
    if (!isToken(config.token.reveal())) wrong(['token'], 'expected visible ASCII without spaces')
    return
  }
  const { protocol, hostname } = new URL(config.tokenEndpoint)
  if (protocol !== 'https:' && !config.insecure && !isLoopback(hostname)) {
    wrong(['tokenEndpoint'], 'found plain http to another machine, expected https, or "insecure: true"')
  }
  if ((config.clientSecret === undefined) === (config.privateKey === undefined)) {
    wrong([], 'expected one of clientSecret and privateKey')
  } else if (config.privateKey !== undefined && parseClientKey(config.privateKey.reveal()) === null) {
    wrong(['privateKey'], 'expected a private key as PEM or JWK: RSA, EC or Ed25519')
  }
}

/** Does not check: anything that `checkCredentials` has reported. */
export const clientIdentityOf = (config: TokenConfig): ClientIdentity => {
  const {
    clientId,
    clientSecret,
    privateKey,
    tokenEndpoint,
    assertionAudience: audience = tokenEndpoint,
  } = config
  const key = privateKey === undefined ? null : parseClientKey(privateKey.reveal())
  const proof = key === null ? { secret: clientSecret?.reveal() ?? '' } : { key }
  return { clientId, proof, audience }
}

export const isToken = (text: string): boolean => VISIBLE.test(text)
