import { dirname, resolve } from 'node:path'
import { z } from 'zod'
import { type Secret, secret } from '../core/secret.ts'
import type { Settings } from '../core/settings.ts'

/** What the scalar types need from outside of the schema. */
export interface SettingsContext {
  /** The file that is being read, absolute: what relative paths are relative to. */
  readonly file: () => string
  readonly env: Readonly<Record<string, string | undefined>>
  /** The content of a secret's file, or why it cannot be had. */
  readonly readSecret: (path: string) => Buffer | string
}

// What setTimeout can hold; longer ones would fire at once.
const MAX_TIMER_MS = 2 ** 31 - 1
const DURATION = /^(0|[1-9][0-9]{0,8})(ms|s|m|h)$/
const DURATION_EXPECTED = 'expected a duration such as 500ms, 15s, 5m or 1h'
const UNITS_MS: ReadonlyMap<string, number> = new Map([
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
  ['ms', 1],
])

const parseDuration = (text: string): number => {
  const [, amount, unit] = DURATION.exec(text) ?? []
  return Number(amount ?? 0) * (UNITS_MS.get(unit ?? '') ?? 0)
}

/** The shortest way to write it, such as `1m` for 60,000 ms. */
export const formatDuration = (milliseconds: number): string => {
  for (const [unit, length] of UNITS_MS) {
    if (milliseconds % length === 0 && milliseconds >= length) return `${milliseconds / length}${unit}`
  }
  return `${milliseconds}ms`
}

const duration: Settings['duration'] = ({ minMs = 0, maxMs = MAX_TIMER_MS } = {}) =>
  z
    .string({ error: DURATION_EXPECTED })
    .regex(DURATION, { error: DURATION_EXPECTED, abort: true })
    .transform((text, context) => {
      const milliseconds = parseDuration(text)
      const limit =
        milliseconds < minMs ? `at least ${formatDuration(minMs)}` : `at most ${formatDuration(maxMs)}`
      if (milliseconds >= minMs && milliseconds <= maxMs) return milliseconds
      context.addIssue({ code: 'custom', message: `found ${text}, expected ${limit}` })
      return z.NEVER
    })

const URL_EXPECTED = 'expected an http: or https: URL without user, query and fragment'

const isPlainUrl = (text: string): boolean => {
  // The parser forgives blanks, backslashes and missing slashes, and others may read those in another way.
  if (!/^https?:\/\/[\x21-\x7e]+$/i.test(text) || text.includes('\\')) return false
  if (text.includes('?') || text.includes('#') || !URL.canParse(text)) return false
  const { username, password } = new URL(text)
  return username === '' && password === '' && !text.slice(0, text.indexOf('/', 8)).includes('@')
}

const url: Settings['url'] = () =>
  z
    .string({ error: URL_EXPECTED })
    // The value is not quoted, since a user and a password may be in it.
    .refine(isPlainUrl, { error: `found another string, ${URL_EXPECTED}` })

const SECRET_EXPECTED = '{ env: NAME } or { file: path }'
// Others are names as well, but as likely the secret itself.
const USUAL_ENV_NAME = /^[A-Z_][A-Z0-9_]*$/
const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/

const secretExpected = ({ input }: { readonly input?: unknown }): string => {
  if (typeof input === 'string') return `expected ${SECRET_EXPECTED}; a secret is never text in the file`
  const isMap = typeof input === 'object' && input !== null && !Array.isArray(input)
  if (isMap && 'env' in input && 'file' in input) return 'expected either env or file, not both'
  return `expected ${SECRET_EXPECTED}`
}

const withoutLineEnd = (text: string): string => text.replace(/\r?\n$/, '')

/** The value, or the mistake and the key that it is at. */
const resolveSecret = (
  from: { readonly env: string } | { readonly file: string },
  context: SettingsContext,
): Secret | { readonly key: 'env' | 'file'; readonly message: string } => {
  if ('env' in from) {
    // A name that cannot be one may be the secret itself, in the wrong place: never show it.
    if (!ENV_NAME.test(from.env)) {
      return { key: 'env', message: 'found a string that cannot name an environment variable' }
    }
    const variable = USUAL_ENV_NAME.test(from.env)
      ? `the environment variable ${from.env}`
      : 'the environment variable of that name'
    // An environment has names from its prototype, too.
    const value = Object.hasOwn(context.env, from.env) ? context.env[from.env] : undefined
    if (value === undefined) {
      return {
        key: 'env',
        message: `${variable} is not set, expected it to hold the secret`,
      }
    }
    const text = withoutLineEnd(value)
    return text === ''
      ? {
          key: 'env',
          message: `${variable} is empty, expected it to hold the secret`,
        }
      : secret(text)
  }
  const read = context.readSecret(resolve(dirname(context.file()), from.file))
  if (typeof read === 'string') return { key: 'file', message: `the secret's file cannot be read: ${read}` }
  const text = withoutLineEnd(read.toString('utf8'))
  return text === ''
    ? { key: 'file', message: "the secret's file is empty, expected the secret in it" }
    : secret(text)
}

/** The scalar types of configuration files, for the file that `context` says is being read. */
export const createSettings = (context: SettingsContext): Settings => {
  const absolute = (path: string): string => resolve(dirname(context.file()), path)
  const pathOf = (expected: string): z.ZodType<string, string> =>
    z.string({ error: expected }).min(1, { error: expected, abort: true }).transform(absolute)
  return {
    path: () => pathOf('expected a path'),
    glob: () => pathOf('expected a path, in which * and ** may stand for names'),
    duration,
    url,
    secret: () =>
      z
        .union(
          [
            z.strictObject({
              env: z.string().min(1).describe('Name of the environment variable that holds the secret'),
            }),
            z.strictObject({
              file: z
                .string()
                .min(1)
                .describe('Path of the file that holds the secret; one trailing newline is ignored'),
            }),
          ],
          { error: secretExpected },
        )
        .transform((from, refinement): Secret => {
          const resolved = resolveSecret(from, context)
          if ('reveal' in resolved) return resolved
          refinement.addIssue({ code: 'custom', path: [resolved.key], message: resolved.message })
          return z.NEVER
        }),
  }
}
