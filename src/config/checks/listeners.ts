import { splitBind } from '../../core/bind-address.ts'
import type { Problem } from '../../core/problem.ts'
import { checkTrustedProxies } from '../../gateway/accept/client-address.ts'
import type { ListenerConfig } from '../../gateway/accept/config.ts'
import { headerProblem } from '../../gateway/authenticate/carriers.ts'
import type { AdminConfig } from '../configuration.ts'
import { below, type Part } from '../parse-part.ts'
import { placeOf } from '../place.ts'
import type { Entry, GatewayFile } from '../read-gateway.ts'

const MAX_PORT = 65_535

const portOf = (bind: string): number => splitBind(bind).port

/** Reports a listener that would believe everybody, and headers that are not for what it speaks. */
const checkDialect = (
  { speaks, trustedProxies, tls, pathPrefix, engine, authenticate }: ListenerConfig,
  report: (problem: Problem) => void,
): void => {
  if (pathPrefix !== undefined && speaks !== 'ext-authz-http') {
    const message = `found pathPrefix with ${speaks}, expected it with ext-authz-http alone`
    report({ path: ['pathPrefix'], rule: 'path-prefix', message, atKey: true })
  }
  if (speaks === 'authzen' && engine === undefined) {
    report({ path: [], rule: 'missing-key', message: 'missing key "engine": the engine that is asked' })
  }
  for (const [key, value] of Object.entries({ engine, authenticate })) {
    if (value === undefined || speaks === 'authzen') continue
    const message = `found ${key} with ${speaks}, expected it with authzen alone: routes name theirs`
    report({ path: [key], rule: 'authzen', message, atKey: true })
  }
  if (speaks === 'authzen' && authenticate !== undefined) return
  if (speaks !== 'proxy') {
    const { clientCaFile, clientCert = clientCaFile === undefined ? 'none' : 'required' } = tls ?? {}
    if (trustedProxies.length > 0 || clientCert !== 'none') return
    const message = `found ${speaks} for everybody, expected trustedProxies with the addresses of the proxies that ask, or tls with clientCaFile, whose certificates they show`
    return report({ path: ['speaks'], rule: 'untrusted-peers', message })
  }
  for (const [index, { headers }] of trustedProxies.entries()) {
    if (headers === undefined && trustedProxies[index]?.posture === undefined) {
      const message = 'missing key "headers": the headers that are believed, such as [x-forwarded-for]'
      report({ path: ['trustedProxies', index], rule: 'missing-key', message })
    }
    headers?.forEach((header, position) => {
      if (header !== 'x-forwarded-method' && header !== 'x-forwarded-uri') return
      const message = `found ${header}, which a listener that speaks forward-auth reads, and this one does not`
      report({ path: ['trustedProxies', index, 'headers', position], rule: 'trusted-proxies', message })
    })
  }
}

/** Reports posture in headers that have another meaning. */
const checkPosture = ({ trustedProxies }: ListenerConfig, report: (problem: Problem) => void): void => {
  for (const [index, { posture = [] }] of trustedProxies.entries()) {
    for (const [position, name] of posture.entries()) {
      if (headerProblem(name) === null) continue
      const message = `${name} has another meaning, and cannot say how a device is`
      report({ path: ['trustedProxies', index, 'posture', position], rule: 'trusted-proxies', message })
    }
  }
}

const checkListener = ({ part, value }: Entry<ListenerConfig>): void => {
  const report = below(part.source, part.path)
  checkTrustedProxies(value.trustedProxies, report)
  checkDialect(value, report)
  checkPosture(value, report)
  if (portOf(value.bind) > MAX_PORT) {
    report({ path: ['bind'], message: `found the port ${portOf(value.bind)}, expected 0 to ${MAX_PORT}` })
  }
}

interface Bound {
  readonly bind: string
  readonly part: Pick<Part, 'source' | 'path'>
}

const bindings = (
  listeners: readonly Entry<ListenerConfig>[],
  admin: AdminConfig | null,
  gateway: GatewayFile,
): Bound[] => {
  const bound: Bound[] = listeners.map(({ part, value }) => ({
    bind: value.bind,
    part: { source: part.source, path: [...part.path, 'bind'] },
  }))
  if (admin !== null)
    bound.push({ bind: admin.bind, part: { source: gateway.source, path: ['admin', 'bind'] } })
  return bound
}

/** Reports proxies that cannot be trusted, ports that do not exist, and an address that is bound twice. */
export const checkListeners = (gateway: GatewayFile): void => {
  gateway.listeners.forEach(checkListener)
  const first = new Map<string, Bound>()
  for (const bound of bindings(gateway.listeners, gateway.admin, gateway)) {
    const { bind, part } = bound
    // The system gives each its own port for 0.
    if (portOf(bind) === 0) continue
    const other = first.get(bind.toLowerCase())
    if (other === undefined) {
      first.set(bind.toLowerCase(), bound)
      continue
    }
    const message = `found the address ${JSON.stringify(bind)} a second time, expected it once; the first is on ${placeOf(other.part, part.source.file)}`
    part.source.report({ path: part.path, rule: 'duplicate-bind', message })
  }
}
