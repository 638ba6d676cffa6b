import { z } from 'zod'
import type { Secret } from '../core/secret.ts'
import type { ListenerConfig } from '../gateway/accept/config.ts'
import type { ProtectedResourceConfig } from '../gateway/authenticate/resource-metadata.ts'
import type { SignalsConfig } from '../gateway/authenticate/signals/config.ts'
import type { GrantsConfig } from '../gateway/decide/config.ts'
import type { RevocationConfig } from '../gateway/decide/revocations/config.ts'
import type { AssertionConfig, UpstreamConfig } from '../gateway/enforce/config.ts'
import { resolveAdmin } from './admin-config.ts'
import type { AdminConfig, GatewayLimits } from './configuration.ts'
import { gatewayCollections, gatewayEntries, gatewaySettings, type KindEntry } from './gateway-schema.ts'
import {
  below,
  child,
  listItems,
  mapEntries,
  type Parsed,
  type Part,
  parseAll,
  parsePart,
  reportUnknownKeys,
} from './parse-part.ts'
import type { Loading } from './preparation.ts'
import { type RoutesEntry, resolveRoutesEntry } from './routes-entry.ts'
import type { YamlSource } from './yaml-file.ts'

/** An entry, and where it is written. */
export interface Entry<T> {
  readonly part: Part
  readonly value: T
}

/** What could be read of the gateway file; null where something was reported. */
export interface GatewayFile {
  readonly source: YamlSource
  readonly listeners: readonly Entry<ListenerConfig>[]
  readonly admin: AdminConfig | null
  readonly limits: GatewayLimits | null
  readonly drainTimeoutMs: number | null
  /** Null where a mistake was reported. */
  readonly workers: number | 'auto' | null
  /** Whether an edit must pass the decision tests. */
  readonly requireTests: boolean
  readonly mode: 'enforce' | 'observe'
  /** Name of an engine; null: none. */
  readonly baseline: string | null
  /** Names of authenticators; null: everybody is told that nothing is there. */
  readonly unmatched: readonly string[] | null
  readonly protectedResources: readonly ProtectedResourceConfig[]
  readonly grants: GrantsConfig | null
  readonly revocation: RevocationConfig | null
  readonly signals: SignalsConfig | null
  readonly assertion: AssertionConfig | null
  readonly authenticators: ReadonlyMap<string, Entry<KindEntry>>
  readonly engines: ReadonlyMap<string, Entry<KindEntry>>
  readonly upstreams: ReadonlyMap<string, Entry<UpstreamConfig>>
  readonly audit: readonly Entry<KindEntry>[]
  readonly secrets: ReadonlyMap<string, Secret>
  readonly routes: readonly Entry<RoutesEntry>[]
  /** Every name that is written, also of entries with mistakes: what refers to them is not wrong too. */
  readonly names: {
    readonly authenticators: ReadonlySet<string>
    readonly engines: ReadonlySet<string>
    readonly upstreams: ReadonlySet<string>
    readonly secrets: ReadonlySet<string>
  }
}

const ANYTHING = {
  listeners: z.unknown(),
  authenticators: z.unknown(),
  engines: z.unknown(),
  upstreams: z.unknown(),
  audit: z.unknown(),
  secrets: z.unknown(),
  routes: z.unknown(),
}

const withParts = <T>(parts: readonly Part[], schema: z.ZodType<T>): readonly Entry<T>[] =>
  parts.flatMap((part) => {
    const parsed = parsePart(part, schema)
    return parsed === null ? [] : [{ part, value: parsed.value }]
  })

const withNames = <T>(
  parts: ReadonlyMap<string, Part>,
  schema: z.ZodType<T>,
): ReadonlyMap<string, Entry<T>> => {
  const entries = new Map<string, Entry<T>>()
  for (const [name, value] of parseAll(parts, schema)) {
    const part = parts.get(name)
    if (part !== undefined) entries.set(name, { part, value })
  }
  return entries
}

const parsedValue = <T>(parsed: Parsed<T> | null): T | null => (parsed === null ? null : parsed.value)

/** Reads the gateway file part by part, so that a mistake in one does not hide those in others. */
export const readGateway = (loading: Loading, source: YamlSource): GatewayFile => {
  const s = loading.settingsFor(() => source.file)
  const settings = gatewaySettings(s)
  const entries = gatewayEntries(s)
  const containers = gatewayCollections(ANYTHING)
  const root: Part = { source, path: [], value: source.value }
  reportUnknownKeys(root, [...Object.keys(settings), ...Object.keys(containers)])
  parsePart(child(root, 'version'), settings.version)
  const admin = parsedValue(parsePart(child(root, 'admin'), settings.admin))
  const maps = {
    authenticators: mapEntries(child(root, 'authenticators'), containers.authenticators),
    engines: mapEntries(child(root, 'engines'), containers.engines),
    upstreams: mapEntries(child(root, 'upstreams'), containers.upstreams),
    secrets: mapEntries(child(root, 'secrets'), containers.secrets),
  }
  const listeners = listItems(child(root, 'listeners'), containers.listeners)
  const audit = listItems(child(root, 'audit'), containers.audit)
  const routes = withParts(listItems(child(root, 'routes'), containers.routes), entries.routes)
  return {
    source,
    listeners: withParts(listeners, entries.listeners),
    admin: admin ? resolveAdmin(admin, below(source, ['admin'])) : null,
    limits: parsedValue(parsePart(child(root, 'limits'), settings.limits)),
    drainTimeoutMs: parsedValue(parsePart(child(root, 'drainTimeout'), settings.drainTimeout)),
    workers: parsedValue(parsePart(child(root, 'workers'), settings.workers)),
    requireTests: parsedValue(parsePart(child(root, 'reload'), settings.reload))?.requireTests ?? false,
    // A mistake in it is reported, and nothing is served.
    mode: parsedValue(parsePart(child(root, 'mode'), settings.mode)) ?? 'enforce',
    baseline: parsedValue(parsePart(child(root, 'baseline'), settings.baseline)) ?? null,
    unmatched: parsedValue(parsePart(child(root, 'unmatched'), settings.unmatched))?.authenticate ?? null,
    protectedResources:
      parsedValue(parsePart(child(root, 'protectedResources'), settings.protectedResources)) ?? [],
    grants: parsedValue(parsePart(child(root, 'grants'), settings.grants)),
    signals: parsedValue(parsePart(child(root, 'signals'), settings.signals)),
    revocation: parsedValue(parsePart(child(root, 'revocation'), settings.revocation)),
    assertion: parsedValue(parsePart(child(root, 'assertion'), settings.assertion)),
    authenticators: withNames(maps.authenticators, entries.authenticators),
    engines: withNames(maps.engines, entries.engines),
    upstreams: withNames(maps.upstreams, entries.upstreams),
    audit: withParts(audit, entries.audit),
    secrets: parseAll(maps.secrets, entries.secrets),
    routes: routes.map(({ part, value }) => ({ part, value: resolveRoutesEntry(value) })),
    names: {
      authenticators: new Set(maps.authenticators.keys()),
      engines: new Set(maps.engines.keys()),
      upstreams: new Set(maps.upstreams.keys()),
      secrets: new Set(maps.secrets.keys()),
    },
  }
}
