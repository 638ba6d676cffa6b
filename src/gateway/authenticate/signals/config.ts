import { z } from 'zod'
import type { Preparation, Settings } from '../../../core/settings.ts'
import { transportProblem } from '../provider.ts'
import { EVENTS, MEMBERS } from './events.ts'

const rule = () =>
  z.strictObject({
    events: z.array(z.enum(EVENTS)).min(1).describe('Events that the rule is for'),
    member: z
      .enum(MEMBERS)
      .default('self')
      .describe(
        'Which part of the subject it looks at: self for a simple one, or a member of a complex one; default self',
      ),
    formats: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .describe('Formats of that part, such as iss_sub or email; default every one'),
    mark: z
      .enum(['subject', 'session', 'credential', 'none'])
      .describe('What the mark is about; none: the event is taken, and nothing is revoked'),
    effect: z
      .enum(['grants', 'credentials'])
      .default('credentials')
      .describe(
        'grants: decide again; credentials: also refuse what was authenticated before; default credentials',
      ),
  })

/** Schema of `signals`: who may say by Shared Signals that access has to be taken back. */
export const signalsConfig = (s: Settings) =>
  z.record(
    z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'expected a name of letters, digits, . _ and -'),
    z.strictObject({
      issuer: z.string().min(1).describe('`iss` of its event tokens, exactly'),
      audience: z.string().min(1).describe('What `aud` of its event tokens must name'),
      jwksUri: s.url().optional().describe('Where its keys are; or jwksFile'),
      jwksFile: s.path().optional().describe('File with its keys as a JWK set; or jwksUri'),
      insecure: z
        .boolean()
        .default(false)
        .describe('Fetch the keys by plain http from another machine, default false'),
      token: s
        .secret()
        .optional()
        .describe('What it must present as Authorization: Bearer, default nothing: its signature suffices'),
      subject: z
        .strictObject({
          type: z
            .string()
            .min(1)
            .default('User')
            .describe('Type of the subjects that it names, default User'),
          issuers: z
            .array(z.string().min(1))
            .min(1)
            .optional()
            .describe(
              'Issuers whose subjects are meant (iss of iss_sub and jwt_id), default the transmitter itself',
            ),
          prefix: z.string().default('').describe('What stands before their ids here, default nothing'),
        })
        .prefault({})
        .describe('How the subjects that it names are called here'),
      rules: z
        .array(rule())
        .default([])
        .describe('From event and subject to mark; looked at before the rules that there are always'),
    }),
  )

export type SignalsConfig = z.infer<ReturnType<typeof signalsConfig>>
export type TransmitterConfig = SignalsConfig[string]
export type SignalRule = z.infer<ReturnType<typeof rule>>

/** A transmitter with the content of its `jwksFile`; null: its keys are fetched. */
export interface Transmitter extends TransmitterConfig {
  readonly name: string
  readonly keys: { readonly keys: readonly object[] } | null
}

/** Reads the files of keys, and reports what is wrong although each field is right. */
export const prepareSignals = (
  config: SignalsConfig,
  { readFile, report }: Pick<Preparation, 'readFile' | 'report'>,
): readonly Transmitter[] =>
  Object.entries(config).map(([name, transmitter]) => {
    const { jwksUri, jwksFile, insecure } = transmitter
    if ((jwksUri === undefined) === (jwksFile === undefined)) {
      report({ path: [name], atKey: true, message: 'expected one of jwksUri and jwksFile' })
    }
    const problem = jwksUri === undefined ? null : transportProblem(jwksUri, insecure)
    if (problem !== null) report({ path: [name, 'jwksUri'], message: `found a URL for keys, but ${problem}` })
    const content = jwksFile === undefined ? null : readFile(jwksFile, [name, 'jwksFile'])
    const keys = content === null ? null : keysOf(content)
    if (content !== null && keys === null) {
      report({ path: [name, 'jwksFile'], message: 'the file does not hold a JWK set' })
    }
    return { ...transmitter, name, keys }
  })

const keysOf = (content: Buffer): Transmitter['keys'] => {
  try {
    const set: unknown = JSON.parse(content.toString('utf8'))
    const keys: unknown = typeof set === 'object' && set !== null ? Reflect.get(set, 'keys') : null
    return Array.isArray(keys) && keys.every((key) => typeof key === 'object' && key !== null)
      ? { keys: keys as readonly object[] }
      : null
  } catch {
    return null
  }
}
