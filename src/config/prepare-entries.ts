import type { Preparation } from '../core/settings.ts'
import { prepareTls } from '../gateway/accept/prepare-tls.ts'
import type { Authenticator, Description } from '../gateway/authenticate/authenticator.ts'
import { type CrossProblem, findCollisions, findOverlaps } from '../gateway/authenticate/cross-checks.ts'
import { AUTHENTICATOR_KINDS } from '../gateway/authenticate/kinds.ts'
import { prepareSignals, type Transmitter } from '../gateway/authenticate/signals/config.ts'
import type { Engine, EngineFactory } from '../gateway/decide/engines/engine.ts'
import { ENGINE_KINDS } from '../gateway/decide/engines/kinds.ts'
import { prepareRedis } from '../gateway/decide/redis/prepare.ts'
import type { RedisSettings } from '../gateway/decide/redis/settings.ts'
import { type AssertionSettings, prepareAssertion } from '../gateway/enforce/assertion-key.ts'
import { checkUpstream } from '../gateway/enforce/config.ts'
import { createCredentials } from '../gateway/enforce/credentials.ts'
import { checkCredentials } from '../gateway/enforce/credentials-config.ts'
import { prepareUpstreamTls } from '../gateway/enforce/upstream-tls.ts'
import { createUpstream, type OwnedUpstream } from '../gateway/enforce/upstreams.ts'
import { SINK_KINDS } from '../gateway/record/sinks/kinds.ts'
import type { ConfiguredListener, Prepared, PreparedSink } from './configuration.ts'
import type { KindEntry } from './gateway-schema.ts'
import { below } from './parse-part.ts'
import { createPreparation, type Loading } from './preparation.ts'
import type { Entry, GatewayFile } from './read-gateway.ts'

interface PreparedKind<T> {
  readonly type: string
  readonly prepare: (name: string, config: unknown, preparation: Preparation) => T
}

/** An authenticator before it is made, as the checks between authenticators see it. */
export interface PreparedAuthenticator extends Prepared<Authenticator> {
  readonly description: Description
}

export interface PreparedEngine extends Prepared<Engine> {
  readonly create: EngineFactory
}

/** The entries of a gateway file, ready to be made; only to be used when nothing was reported. */
export interface PreparedEntries {
  readonly listeners: readonly ConfiguredListener[]
  readonly authenticators: ReadonlyMap<string, PreparedAuthenticator>
  readonly engines: ReadonlyMap<string, PreparedEngine>
  readonly upstreams: ReadonlyMap<string, Prepared<OwnedUpstream>>
  readonly sinks: readonly PreparedSink[]
  readonly assertionSettings: (() => AssertionSettings) | null
  readonly signals: readonly Transmitter[]
  readonly redis: RedisSettings | null
}

const prepare = <F extends () => unknown>(
  loading: Loading,
  kinds: readonly PreparedKind<F>[],
  name: string,
  { part, value }: Entry<KindEntry>,
): { readonly create: F; readonly fingerprint: string } | null => {
  const kind = kinds.find(({ type }) => type === value.type)
  if (kind === undefined) return null
  const preparation = createPreparation(loading, part.source, part.path)
  const create = kind.prepare(name, value, preparation)
  return { create, fingerprint: preparation.fingerprint(value) }
}

const prepareNamed = <F extends () => unknown>(
  loading: Loading,
  kinds: readonly PreparedKind<F>[],
  entries: ReadonlyMap<string, Entry<KindEntry>>,
): ReadonlyMap<string, { readonly create: F; readonly fingerprint: string }> => {
  const prepared = new Map<string, { readonly create: F; readonly fingerprint: string }>()
  for (const [name, entry] of entries) {
    const ready = prepare(loading, kinds, name, entry)
    if (ready !== null) prepared.set(name, ready)
  }
  return prepared
}

const prepareEngines = async (
  loading: Loading,
  gateway: GatewayFile,
): Promise<ReadonlyMap<string, PreparedEngine>> => {
  const prepared = new Map<string, PreparedEngine>()
  for (const [name, { part, value }] of gateway.engines) {
    const kind = ENGINE_KINDS.find(({ type }) => type === value.type)
    if (kind === undefined) continue
    const preparation = createPreparation(loading, part.source, part.path)
    const create = await kind.prepare(name, value, preparation)
    prepared.set(name, { create, fingerprint: preparation.fingerprint(value) })
  }
  return prepared
}

const prepareAuthenticators = (
  loading: Loading,
  gateway: GatewayFile,
): ReadonlyMap<string, PreparedAuthenticator> => {
  const prepared = prepareNamed(loading, AUTHENTICATOR_KINDS, gateway.authenticators)
  return new Map(
    [...prepared].map(([name, { create, fingerprint }]) => {
      return [name, { create, fingerprint, description: create.description }]
    }),
  )
}

const crossCheck = (
  gateway: GatewayFile,
  authenticators: ReadonlyMap<string, PreparedAuthenticator>,
): void => {
  const described = [...authenticators].map(([name, { description }]) => ({ name, description }))
  const place = ({ authenticator, problem }: CrossProblem): void => {
    const part = gateway.authenticators.get(authenticator)?.part
    if (part !== undefined) below(part.source, part.path)({ ...problem, atKey: true })
  }
  findOverlaps(described).forEach(place)
  findCollisions(described).forEach(place)
}

const prepareUpstreams = (
  loading: Loading,
  gateway: GatewayFile,
): ReadonlyMap<string, Prepared<OwnedUpstream>> => {
  const prepared = new Map<string, Prepared<OwnedUpstream>>()
  for (const [name, { part, value }] of gateway.upstreams) {
    const preparation = createPreparation(loading, part.source, part.path)
    checkUpstream(value).forEach(preparation.report)
    const tls = prepareUpstreamTls(value, preparation)
    const { credentials } = value
    if (credentials !== undefined) checkCredentials(credentials, preparation.report)
    const { clock, log } = preparation
    const shown = () =>
      credentials === undefined ? null : createCredentials(credentials, { upstream: name, clock, log })
    const fingerprint = preparation.fingerprint(value)
    const create = () => createUpstream(name, value, { clock, log, tls, credentials: shown() })
    prepared.set(name, { create, fingerprint })
  }
  return prepared
}

const prepareListeners = (loading: Loading, gateway: GatewayFile): readonly ConfiguredListener[] => {
  const counts = new Map<string, number>()
  return gateway.listeners.map(({ part, value }) => {
    const count = (counts.get(value.bind) ?? 0) + 1
    counts.set(value.bind, count)
    const id = count === 1 ? value.bind : `${value.bind} ${count}`
    if (value.tls === undefined) return { ...value, id, material: null }
    const preparation = createPreparation(loading, part.source, part.path)
    return { ...value, id, material: prepareTls(value.tls, ['tls'], preparation) }
  })
}

const prepareShared = (
  loading: Loading,
  { source, grants, assertion }: GatewayFile,
  settings: PreparedEntries['assertionSettings'],
): RedisSettings | null => {
  if (grants === null) return null
  const isKept = settings !== null && assertion?.keyFile !== undefined
  const key = isKept ? settings().key.privateKey : null
  return prepareRedis(grants, key, createPreparation(loading, source, ['grants']))
}

/** Lets each entry read its files and check itself; opens and fetches nothing. Rejects when it is not wanted any more. */
export const prepareEntries = async (loading: Loading, gateway: GatewayFile): Promise<PreparedEntries> => {
  const authenticators = prepareAuthenticators(loading, gateway)
  crossCheck(gateway, authenticators)
  const sinks = gateway.audit.flatMap((entry, index) => {
    const prepared = prepare(loading, SINK_KINDS, `audit[${index}]`, entry)
    return prepared === null ? [] : [prepared]
  })
  const assertion = createPreparation(loading, gateway.source, ['assertion'])
  const assertionSettings = gateway.assertion === null ? null : prepareAssertion(gateway.assertion, assertion)
  return {
    listeners: prepareListeners(loading, gateway),
    authenticators,
    engines: await prepareEngines(loading, gateway),
    upstreams: prepareUpstreams(loading, gateway),
    sinks,
    signals:
      gateway.signals === null
        ? []
        : prepareSignals(gateway.signals, createPreparation(loading, gateway.source, ['signals'])),
    assertionSettings,
    redis: prepareShared(loading, gateway, assertionSettings),
  }
}
