import { z } from 'zod'
import type { Settings } from '../core/settings.ts'
import { limitsConfig, listenerConfig } from '../gateway/accept/config.ts'
import { AUTHENTICATOR_KINDS } from '../gateway/authenticate/kinds.ts'
import { protectedResourceConfig } from '../gateway/authenticate/resource-metadata.ts'
import { signalsConfig } from '../gateway/authenticate/signals/config.ts'
import { grantsConfig } from '../gateway/decide/config.ts'
import { ENGINE_KINDS } from '../gateway/decide/engines/kinds.ts'
import { revocationConfig } from '../gateway/decide/revocations/config.ts'
import { assertionConfig, upstreamConfig } from '../gateway/enforce/config.ts'
import { refusalRecordsConfig } from '../gateway/record/config.ts'
import { SINK_KINDS } from '../gateway/record/sinks/kinds.ts'
import { adminConfig } from './admin-config.ts'
import { entryName } from './names.ts'
import { routesEntry } from './routes-entry.ts'

const MAX_WORKERS = 64

interface Kind {
  readonly type: string
  readonly config: (s: Settings) => z.ZodObject
}

/** A configured entry of some kind; the kind knows the rest of its fields. */
export interface KindEntry {
  readonly type: string
}

const byType = (kinds: readonly Kind[], s: Settings): z.ZodType<KindEntry> => {
  const [first, ...others] = kinds.map((kind) => kind.config(s))
  if (first === undefined) throw new Error('a table of kinds is empty')
  const union = z.discriminatedUnion('type', [first, ...others])
  // Every kind's schema has `type` as a literal, which the erased type of a table's entries cannot say.
  return union as unknown as z.ZodType<KindEntry>
}

/** The schemas of what the lists and maps of the gateway file hold. */
export const gatewayEntries = (s: Settings) => ({
  listeners: listenerConfig(s),
  authenticators: byType(AUTHENTICATOR_KINDS, s),
  engines: byType(ENGINE_KINDS, s),
  upstreams: upstreamConfig(s),
  audit: byType(SINK_KINDS, s),
  secrets: s.secret(),
  routes: routesEntry(s),
})

const named = <T extends z.ZodType>(entry: T) => z.record(entryName(), entry).prefault({})

/** The lists and maps of the gateway file, around whatever schema their entries have. */
export const gatewayCollections = <E extends Record<keyof ReturnType<typeof gatewayEntries>, z.ZodType>>(
  entries: E,
) => ({
  listeners: z.array(entries.listeners).min(1).describe('Where requests come in'),
  authenticators: named(entries.authenticators).describe(
    'Ways to prove who the caller is, by name; default none',
  ),
  engines: named(entries.engines).describe('Policy engines, by name; default none'),
  upstreams: named(entries.upstreams).describe('Applications behind the gateway, by name; default none'),
  audit: z.array(entries.audit).prefault([]).describe('Where every decision is recorded; default nowhere'),
  secrets: named(entries.secrets).describe('Secrets that headers of routes may hold, by name; default none'),
  routes: z.array(entries.routes).describe("Files with route maps, and what each team's may do"),
})

/** The other fields of the gateway file. */
export const gatewaySettings = (s: Settings) => ({
  version: z
    .literal(1, { error: 'expected 1, the version of the format of this file' })
    .describe('Version of the format of this file: 1'),
  admin: adminConfig(s).optional().describe('The admin port: health, metrics, API; default none'),
  workers: z
    .union([
      z.literal('auto').describe('One for each core that the process may use'),
      z.int().min(1).max(MAX_WORKERS).describe('So many'),
    ])
    .default(1)
    .describe(
      'Processes that serve and share the listeners, auto is one for each core; default 1. Several need assertion.keyFile.',
    ),
  mode: z
    .enum(['enforce', 'observe'])
    .default('enforce')
    .describe(
      'What becomes of a deny where the route does not say: enforce refuses, observe records and forwards; default enforce',
    ),
  baseline: entryName()
    .optional()
    .describe(
      'An engine that every protected route asks first, whatever its file says, and every listener that speaks authzen: both must allow; default none',
    ),
  unmatched: z
    .strictObject({
      authenticate: z
        .array(entryName())
        .min(1)
        .describe(
          'Authenticators, one of which must know the caller before it is told that nothing is there',
        ),
    })
    .optional()
    .describe('Hides which routes exist: callers without a credential get 401, not 404; default off'),
  protectedResources: z
    .array(protectedResourceConfig(s))
    .prefault([])
    .describe(
      'Resources whose metadata (RFC 9728) the gateway answers at /.well-known/oauth-protected-resource, and names in its challenges; default none',
    ),
  reload: z
    .strictObject({
      requireTests: z
        .boolean()
        .default(false)
        .describe(
          'Whether an edit is refused when a decision test fails, or when there is none; default false',
        ),
    })
    .prefault({})
    .describe('What an edit must pass, besides being without a mistake, before it is taken up'),
  drainTimeout: s
    .duration({ minMs: 0 })
    .prefault('10s')
    .describe('How long requests in flight may take to finish at shutdown, default 10s'),
  limits: limitsConfig(s)
    .extend({
      refusalRecords: refusalRecordsConfig(s)
        .prefault({})
        .describe('When refusals of one caller are only counted in the decision log'),
    })
    .prefault({})
    .describe('Bounds of what a caller may send and hold'),
  grants: grantsConfig(s).prefault({}).describe('How decisions are kept'),
  signals: signalsConfig(s)
    .prefault({})
    .describe(
      'Who may tell by OpenID Shared Signals that access has to be taken back, by name; default nobody',
    ),
  revocation: revocationConfig(s)
    .prefault({})
    .describe('Taking access back, and what is done while the latest revocations are not known'),
  assertion: assertionConfig(s)
    .prefault({})
    .describe('The signature that applications get with each request'),
})

/** The whole gateway file. */
export const gatewaySchema = (s: Settings) =>
  z.strictObject({ ...gatewaySettings(s), ...gatewayCollections(gatewayEntries(s)) })
