import { z } from 'zod'
import type { Problem } from '../core/problem.ts'
import type { Settings } from '../core/settings.ts'
import type { AdminConfig } from './configuration.ts'
import { label } from './names.ts'

const BIND = /^(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}$/

/** What a token of the admin port may be allowed to do. */
export const PERMISSIONS = ['read', 'explain', 'replay', 'revoke'] as const

/** The control plane's own port: `admin`. */
export const adminConfig = (s: Settings) =>
  z.strictObject({
    bind: z
      .string()
      .regex(BIND, { error: 'expected host:port, such as 127.0.0.1:9901' })
      .describe('Address of the admin port as host:port, such as 127.0.0.1:9901'),
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
  const { bind, token, tokens } = entry
  if (Number(bind.slice(bind.lastIndexOf(':') + 1)) > 65535) {
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
  const names = new Set<string>()
  tokens?.forEach(({ name }, index) => {
    if (names.has(name)) {
      const message = `found the token name ${JSON.stringify(name)} a second time, expected each once`
      report({ path: ['tokens', index, 'name'], rule: 'duplicate-name', message })
    }
    names.add(name)
  })
  const all = token === undefined ? [] : [{ name: 'admin', token, may: [...PERMISSIONS] }]
  return { bind, tokens: tokens ?? all }
}
