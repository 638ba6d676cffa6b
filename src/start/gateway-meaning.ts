import { dirname, relative, resolve } from 'node:path'
import { z } from 'zod'
import { gatewaySchema } from '../config/gateway-schema.ts'
import { createSettings, formatDuration } from '../config/settings.ts'
import type { Settings } from '../core/settings.ts'
import { type Cidr, formatIp, parseCidr } from '../gateway/accept/ip-address.ts'
import { plainAuthenticator, plainUpstream, withImplied } from './implied-settings.ts'

/** A file that a configuration names. */
export interface NamedFile {
  readonly absolute: string
  /** From the gateway file on. */
  readonly relative: string
  /** True when what it holds is read and belongs to the entry; false for a file that is written to, or holds a secret. */
  readonly isRead: boolean
}

const namedFiles = new WeakSet<object>()

export const isNamedFile = (value: unknown): value is NamedFile =>
  typeof value === 'object' && value !== null && namedFiles.has(value)

type Raw = Readonly<Record<string, unknown>>

/** What a gateway file says, its defaults filled in, with secrets by where they are. */
export interface GatewayMeaning {
  readonly authenticators: Raw
  readonly engines: Raw
  readonly upstreams: Raw
  /** All else, but for where the route maps are. */
  readonly settings: Raw
}

/**
 * Reads a gateway file so that what means the same is equal: defaults, durations, address ranges.
 *
 * @param content as it was parsed, of a file that was loaded without a mistake; else it throws.
 */
export const gatewayMeaning = (file: string, content: unknown): GatewayMeaning => {
  const written = Object(content) as Raw
  const filled = {
    ...written,
    authenticators: withImplied(written.authenticators),
    engines: withImplied(written.engines),
  }
  const [entries, others] = [true, false].map(
    (isRead) => comparable(gatewaySchema(comparableSettings(file, isRead)).parse(filled)) as Raw,
  ) as [Raw, Raw]
  const settings = Object.entries(others).filter(([key]) => !COMPARED_OTHERWISE.has(key))
  return {
    authenticators: eachOf(entries.authenticators, plainAuthenticator),
    engines: entries.engines as Raw,
    upstreams: eachOf(entries.upstreams, plainUpstream),
    settings: {
      ...Object.fromEntries(settings),
      // By their places, so that one which differs does not bring along the others.
      listeners: { ...(others.listeners as readonly unknown[]) },
      audit: { ...(others.audit as readonly unknown[]) },
    },
  }
}

const eachOf = (entries: unknown, plain: (entry: Raw) => Raw): Raw =>
  Object.fromEntries(
    Object.entries(entries as Readonly<Record<string, Raw>>).map(([name, entry]) => [name, plain(entry)]),
  )

const COMPARED_OTHERWISE: ReadonlySet<string> = new Set([
  ...['authenticators', 'engines', 'upstreams'],
  ...['routes', 'version'],
])

/** Values that are compared and shown, not used. */
const comparableSettings = (file: string, isRead: boolean): Settings => {
  const usual = createSettings({ file: () => file, env: {}, readSecret: () => '' })
  const fileOf = (path: string, ofRead: boolean): NamedFile => {
    const absolute = resolve(dirname(file), path)
    const found = { absolute, relative: relative(dirname(file), absolute), isRead: ofRead }
    namedFiles.add(found)
    return found
  }
  const secret = z
    .union([z.strictObject({ env: z.string() }), z.strictObject({ file: z.string() })])
    .transform((from) => ('env' in from ? from : { file: fileOf(from.file, false) }))
  return {
    url: usual.url,
    // Schemas do nothing with these but hand them on, so that they can be of another type.
    path: () => z.string().transform((path) => fileOf(path, isRead)) as unknown as z.ZodType<string, string>,
    glob: () => z.string().transform((path) => fileOf(path, false)) as unknown as z.ZodType<string, string>,
    duration: (limits) =>
      usual.duration(limits).transform(formatDuration) as unknown as z.ZodType<number, string>,
    secret: () => secret as unknown as ReturnType<Settings['secret']>,
  }
}

const comparable = (value: unknown, key = ''): unknown => {
  if (value === Number.POSITIVE_INFINITY) return 'never'
  if (typeof value !== 'object' || value === null || isNamedFile(value)) return value
  if (!Array.isArray(value))
    return Object.fromEntries(Object.entries(value).map(([name, held]) => [name, comparable(held, name)]))
  const items = value.map((held) => comparable(held))
  return key === 'cidrs' ? [...new Set(items.map(rangeOf))].sort() : items
}

/** One spelling of a range of addresses. */
const rangeOf = (text: unknown): unknown => {
  const cidr = typeof text === 'string' ? parseCidr(text) : null
  return cidr === null ? text : `${formatIp(firstOf(cidr))}/${cidr.bits}`
}

const firstOf = ({ bytes, bits }: Cidr): readonly number[] =>
  bytes.map((byte, index) => {
    const kept = Math.min(8, Math.max(0, bits - index * 8))
    return byte & (0xff << (8 - kept)) & 0xff
  })
