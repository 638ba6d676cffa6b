import { z } from 'zod'
import { splitBind } from '../core/bind-address.ts'
import type { Problem } from '../core/problem.ts'
import type { Secret } from '../core/secret.ts'
import type { Settings } from '../core/settings.ts'
import type { AdminConfig } from './configuration.ts'
import { label } from './names.ts'

const BIND = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$/

const HOST = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?)$/

/** What a header field can hold without being changed on its way. */
const SENDABLE = /^[\x21-\x7e]+$/

/** What a token of the admin port may be allowed to do. */
export const PERMISSIONS = ['read', 'explain', 'replay', 'revoke'] as const

/** The control plane's own port: `admin`. */
export const adminConfig = (s: Settings) =>
  z.strictObject({
    bind: z
      .string()
      .regex(BIND, { error: 'expected host:port, such as 127.0.0.1:9901' })
      .describe('Address of the admin port as host:port, such as 127.0.0.1:9901'),
    hosts: z
      .array(
        z.string().regex(HOST, { error: 'expected a host name without a port, such as gateway.internal' }),
      )
      .prefault([])
      .describe(
        'Names, without ports, that callers of the admin port may use for it, besides its address and localhost; default none',
      ),
    token: s.secret().optional().describe('The one token, which may do all; instead of tokens'),
    tokens: z
      .array(
        z.strictObject({
          name: label().describe('Who uses the token; told in the log'),
          token: s.secret().describe('The token'),
          may: z.array(z.enum(PERMISSIONS)).min(1).describe('What the token may be used for'),
        }),
      )
      .min(1)
      .optional()
      .describe('Several tokens, each with what it may do; instead of token'),
  })

type AdminEntry = z.infer<ReturnType<typeof adminConfig>>

/** Both ways to write tokens as one. Reports what is wrong although each field is right. */
export const resolveAdmin = (entry: AdminEntry, report: (problem: Problem) => void): AdminConfig => {
  const { bind, hosts, token, tokens } = entry
  if (splitBind(bind).port > 65535) {
    report({ path: ['bind'], message: 'found a port over 65535, expected 0 to 65535' })
  }
  if (token !== undefined && tokens !== undefined) {
    report({ path: ['tokens'], atKey: true, message: 'found both token and tokens, expected one of them' })
  }
  if (token === undefined && tokens === undefined) {
    report({
      path: [],
      atKey: true,
      rule: 'missing-key',
      message: 'missing key "token": expected token, or tokens',
    })
  }
  if (token !== undefined) checkSendable(token, ['token'], report)
  checkTokens(tokens ?? [], report)
  const all = token === undefined ? [] : [{ name: 'admin', token, may: PERMISSIONS }]
  return { bind, hosts: hosts.map((host) => host.toLowerCase()), tokens: tokens ?? all }
}

const checkTokens = (tokens: AdminConfig['tokens'], report: (problem: Problem) => void): void => {
  const names = new Set<string>()
  const values = new Set<string>()
  tokens.forEach(({ name, token }, index) => {
    if (names.has(name)) {
      const message = `found the token name ${JSON.stringify(name)} a second time, expected each once`
      report({ path: ['tokens', index, 'name'], rule: 'duplicate-name', message })
    }
    // Nobody could say whose it is, nor what it may be used for.
    if (values.has(token.reveal())) {
      const message = 'found the same token under another name before, expected one for each name'
      report({ path: ['tokens', index, 'token'], rule: 'duplicate-token', message })
    }
    checkSendable(token, ['tokens', index, 'token'], report)
    names.add(name)
    values.add(token.reveal())
  })
}

const checkSendable = (token: Secret, path: Problem['path'], report: (problem: Problem) => void): void => {
  if (SENDABLE.test(token.reveal())) return
  const message = 'found a token that no header can carry, expected visible ASCII characters without blanks'
  report({ path, rule: 'unsendable-token', message })
}
