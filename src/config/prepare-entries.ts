import type { Preparation } from '../core/settings.ts'
import type { AuthenticatorFactory } from '../gateway/authenticate/authenticator.ts'
import { type CrossProblem, findCollisions, findOverlaps } from '../gateway/authenticate/cross-checks.ts'
import { AUTHENTICATOR_KINDS } from '../gateway/authenticate/kinds.ts'
import type { Engine } from '../gateway/decide/engines/engine.ts'
import { ENGINE_KINDS } from '../gateway/decide/engines/kinds.ts'
import { type AssertionSettings, prepareAssertion } from '../gateway/enforce/assertion-key.ts'
import { checkUpstream } from '../gateway/enforce/config.ts'
import { SINK_KINDS } from '../gateway/record/sinks/kinds.ts'
import type { Sink } from '../gateway/record/sinks/sink.ts'
import type { KindEntry } from './gateway-schema.ts'
import { below } from './parse-part.ts'
import { createPreparation, type Loading } from './preparation.ts'
import type { Entry, GatewayFile } from './read-gateway.ts'

interface PreparedKind<T> {
  readonly type: string
  readonly prepare: (name: string, config: unknown, preparation: Preparation) => T
}

/** The entries of a gateway file, ready to be made; only to be used when nothing was reported. */
export interface PreparedEntries {
  readonly authenticators: ReadonlyMap<string, AuthenticatorFactory>
  readonly engines: ReadonlyMap<string, () => Engine>
  readonly sinks: readonly (() => Sink)[]
  readonly assertionSettings: (() => AssertionSettings) | null
}

const prepare = <T>(
  loading: Loading,
  kinds: readonly PreparedKind<T>[],
  name: string,
  { part, value }: Entry<KindEntry>,
): T | null => {
  const kind = kinds.find(({ type }) => type === value.type)
  const preparation = createPreparation(loading, part.source, part.path)
  return kind === undefined ? null : kind.prepare(name, value, preparation)
}

const prepareNamed = <T>(
  loading: Loading,
  kinds: readonly PreparedKind<T>[],
  entries: ReadonlyMap<string, Entry<KindEntry>>,
): ReadonlyMap<string, T> => {
  const prepared = new Map<string, T>()
  for (const [name, entry] of entries) {
    const factory = prepare(loading, kinds, name, entry)
    if (factory !== null) prepared.set(name, factory)
  }
  return prepared
}

const crossCheck = (gateway: GatewayFile, factories: ReadonlyMap<string, AuthenticatorFactory>): void => {
  const described = [...factories].map(([name, { description }]) => ({ name, description }))
  const place = ({ authenticator, problem }: CrossProblem): void => {
    const part = gateway.authenticators.get(authenticator)?.part
    if (part !== undefined) below(part.source, part.path)({ ...problem, atKey: true })
  }
  findOverlaps(described).forEach(place)
  findCollisions(described).forEach(place)
}

/** Lets each entry read its files and check itself; opens and fetches nothing. */
export const prepareEntries = (loading: Loading, gateway: GatewayFile): PreparedEntries => {
  const authenticators = prepareNamed(loading, AUTHENTICATOR_KINDS, gateway.authenticators)
  crossCheck(gateway, authenticators)
  for (const { part, value } of gateway.upstreams.values()) {
    checkUpstream(value).forEach(below(part.source, part.path))
  }
  const sinks = gateway.audit.flatMap((entry, index) => {
    const factory = prepare(loading, SINK_KINDS, `audit[${index}]`, entry)
    return factory === null ? [] : [factory]
  })
  const assertion = createPreparation(loading, gateway.source, ['assertion'])
  return {
    authenticators,
    engines: prepareNamed(loading, ENGINE_KINDS, gateway.engines),
    sinks,
    assertionSettings: gateway.assertion === null ? null : prepareAssertion(gateway.assertion, assertion),
  }
}
