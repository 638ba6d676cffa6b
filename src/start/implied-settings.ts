import { formatDuration } from '../config/settings.ts'
import {
  DEFAULT_COOLDOWN_MS,
  DEFAULT_MAX_STALE_MS,
  DEFAULT_REFRESH_MS,
  DEFAULT_TIMEOUT_MS,
} from '../gateway/authenticate/jwt-keys.ts'

type Raw = Readonly<Record<string, unknown>>

/** What is the same as leaving it out, by type, where the schema has no default: it depends on other fields, or fills itself in. */
const IMPLIED: ReadonlyMap<string, (entry: Raw) => Raw> = new Map<string, (entry: Raw) => Raw>([
  ['jwt', (entry) => ({ subject: {}, dpop: {}, ...(isFetched(entry) ? FETCHING : {}) })],
  ['introspection', () => ({ subject: {}, dpop: {} })],
  ['oidc', () => ({ subject: {} })],
  ['jwt-svid', () => ({ subject: {} })],
  ['mtls', () => ({ subject: {} })],
  ['authzen', () => ({ policyVersion: 'unversioned' })],
  ['opa', () => ({ policyVersion: 'unversioned' })],
])

const isFetched = ({ jwksFile, secret }: Raw): boolean => jwksFile === undefined && secret === undefined

const FETCHING = {
  cooldown: formatDuration(DEFAULT_COOLDOWN_MS),
  maxStale: formatDuration(DEFAULT_MAX_STALE_MS),
  timeout: formatDuration(DEFAULT_TIMEOUT_MS),
}

/** @param entries of a map of the gateway file, as they are written. */
export const withImplied = (entries: unknown): Raw =>
  Object.fromEntries(
    Object.entries(Object(entries) as Raw).map(([name, entry]) => {
      const written = Object(entry) as Raw
      return [name, { ...IMPLIED.get(String(written.type))?.(written), ...written }]
    }),
  )

/** One spelling of an authenticator's header, as names of fields know no case; and the refresh that is implied last. */
export const plainAuthenticator = (entry: Raw): Raw => {
  const { header, maxStale } = entry
  return {
    ...(maxStale === formatDuration(DEFAULT_MAX_STALE_MS) && entry.type === 'jwt'
      ? { refresh: formatDuration(DEFAULT_REFRESH_MS) }
      : {}),
    ...entry,
    ...(typeof header === 'string' ? { header: header.toLowerCase() } : {}),
  }
}

/** A single origin however it is written; an origin has no path. */
export const plainUpstream = ({ url, urls, ...entry }: Raw): Raw => {
  const origins = (Array.isArray(urls) ? urls : [url]).map((each) => new URL(String(each)).origin)
  return { ...entry, ...(origins.length === 1 ? { url: origins[0] } : { urls: origins }) }
}
