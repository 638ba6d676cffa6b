import type { AdminDeps } from '../admin/admin-deps.ts'
import { type AdminServer, startAdminServer } from '../admin/admin-server.ts'
import type { Configuration, ConfiguredListener } from '../config/configuration.ts'
import { splitBind } from '../core/bind-address.ts'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { LimitsConfig } from '../gateway/accept/config.ts'
import { createListener, type Listener, type ListenerDeps } from '../gateway/accept/listener.ts'
import type { Pipeline } from '../gateway/pipeline.ts'
import { type NotStarted, notStarted, type WorkerPlace } from './options.ts'

/** The listeners and the admin port, through all edits. */
export interface Ports {
  /** `host:port` of every listener, in the order of the configuration. */
  readonly addresses: () => readonly string[]
  readonly adminAddress: () => string | null
  /** Connections of callers that are open. */
  readonly connections: () => number
  /** Opens what a configuration has and is not open yet; nothing is closed before `PortChange` says so. */
  readonly open: (configuration: Configuration) => Promise<PortChange | NotStarted>
  /** Takes no more connections, lets requests in flight finish, then cuts what is left. */
  readonly close: (drainTimeoutMs: number) => Promise<void>
  readonly closeAdmin: () => Promise<void>
}

/** One of the two is to be called, once. */
export interface PortChange {
  /** Closes what is no longer wanted, and applies the limits to what stays. */
  readonly commit: () => void
  /** Closes again what was opened. */
  readonly undo: () => Promise<void>
}

export interface PortsOptions {
  readonly pipeline: Pipeline
  /** Takes what is asked by AuthZEN. */
  readonly pdp: Pick<Pipeline, 'handle'>
  readonly admin: AdminDeps
  readonly clock: Clock
  readonly log: Log
  readonly place: WorkerPlace | null
}

interface OpenListener {
  /** Tells it from the others; see `keysOf`. */
  readonly key: string
  readonly config: ConfiguredListener
  readonly limits: LimitsConfig
  readonly listener: Listener
  readonly address: string
}

interface OpenAdmin {
  readonly bind: string
  readonly server: AdminServer
}

interface State {
  listeners: readonly OpenListener[]
  admin: OpenAdmin | null
  /** Of what is on its way out. */
  readonly closing: Set<Promise<void>>
}

export const createPorts = (options: PortsOptions): Ports => {
  const state: State = { listeners: [], admin: null, closing: new Set() }
  const inBackground = (closed: Promise<void>): void => {
    const settled = closed.finally(() => state.closing.delete(settled))
    state.closing.add(settled)
  }
  return {
    addresses: () => state.listeners.map(({ address }) => address),
    adminAddress: () => state.admin?.server.address() ?? null,
    connections: () => state.listeners.reduce((sum, { listener }) => sum + listener.connections(), 0),
    open: (configuration) => openPorts(configuration, state, options, inBackground),
    close: async (drainTimeoutMs) => {
      await Promise.all(state.listeners.map(({ listener }) => listener.close(drainTimeoutMs)))
      await Promise.all(state.closing)
    },
    closeAdmin: async () => state.admin?.server.close(),
  }
}

type InBackground = (closed: Promise<void>) => void

const openPorts = async (
  configuration: Configuration,
  state: State,
  options: PortsOptions,
  inBackground: InBackground,
): Promise<PortChange | NotStarted> => {
  const { limits, drainTimeoutMs, admin } = configuration
  const keys = keysOf(configuration.listeners)
  const leaving = state.listeners.filter(({ key }) => !keys.has(key))
  const opened: OpenListener[] = []
  const displaced: OpenListener[] = []
  let newAdmin: OpenAdmin | null = null

  const close = ({ listener }: OpenListener): void => inBackground(listener.close(drainTimeoutMs))

  const undo = async (): Promise<void> => {
    opened.forEach(close)
    if (newAdmin !== null && newAdmin !== state.admin) inBackground(newAdmin.server.close())
    await reopen(displaced, state, options)
  }

  /** What leaves may stand in the way, as `127.0.0.1:80` does in that of `0.0.0.0:80`: then it goes first. */
  const openOne = async (key: string, config: ConfiguredListener): Promise<OpenListener> => {
    const inTheWay = leaving.filter((old) => !displaced.includes(old) && portOf(old) === portOf({ config }))
    // Workers have one address once, whatever is spoken there.
    if (options.place === null || inTheWay.length === 0) {
      const first = await openListener(key, config, limits, options)
      if (!(first instanceof Error)) return first
      if (codeOf(first) !== 'EADDRINUSE' || inTheWay.length === 0) throw first
    }
    displaced.push(...inTheWay)
    inTheWay.forEach(close)
    const second = await openInTurn(key, config, limits, options)
    if (second instanceof Error) throw second
    return second
  }

  let bind = ''
  try {
    const wanted: OpenListener[] = []
    for (const [key, config] of keys) {
      bind = config.bind
      const known = state.listeners.find((each) => each.key === key)
      const open = known ?? (await openOne(key, config))
      if (open !== known) opened.push(open)
      wanted.push({ ...open, config, limits })
    }
    bind = admin?.bind ?? ''
    if (admin !== null) newAdmin = await openAdmin(bind, state, options)
    return {
      commit: () => {
        const { admin: adminBefore } = state
        state.listeners = wanted
        state.admin = newAdmin
        for (const { listener, config } of wanted) {
          listener.configure({ config, limits, tls: config.material })
        }
        for (const old of leaving) if (!displaced.includes(old)) close(old)
        if (adminBefore !== null && adminBefore !== newAdmin) inBackground(adminBefore.server.close())
      },
      undo,
    }
  } catch (error) {
    await undo()
    const why = error instanceof Error ? error.message : String(error)
    return notStarted(configuration.file, 'cannot-listen', `cannot listen on ${bind}: ${why}`)
  }
}

const portOf = ({ config }: Pick<OpenListener, 'config'>): number => splitBind(config.bind).port

const codeOf = (error: Error): unknown => Reflect.get(error, 'code')

/** Puts back what was closed for something that could not be opened all the same. */
const reopen = async (
  displaced: readonly OpenListener[],
  state: State,
  options: PortsOptions,
): Promise<void> => {
  for (const old of displaced) {
    const again = await openListener(old.key, old.config, old.limits, options)
    if (again instanceof Error) {
      const fields = { listener: old.config.bind, code: codeOf(again) }
      options.log.error(fields, 'a listener was closed for an edit, and cannot be opened again')
    } else state.listeners = state.listeners.map((each) => (each === old ? again : each))
  }
}

/**
 * Names each listener by its address, and by what it speaks, which cannot change under open connections.
 *
 * The system gives each its own port for 0, so these are also counted.
 */
const keysOf = (listeners: readonly ConfiguredListener[]): ReadonlyMap<string, ConfiguredListener> => {
  const keys = new Map<string, ConfiguredListener>()
  for (const config of listeners) {
    const name = `${config.id} ${config.speaks}${config.material === null ? '' : ' tls'}`
    let key = name
    for (let count = 2; keys.has(key); count += 1) key = `${name} ${count}`
    keys.set(key, config)
  }
  return keys
}

/** What most gateways do not speak is not loaded before it is needed. */
const createListenerFor =
  (speaks: ConfiguredListener['speaks']) =>
  async (deps: ListenerDeps): Promise<Listener> => {
    if (speaks !== 'ext-authz-grpc') return createListener(deps)
    const { createGrpcListener } = await import('../gateway/accept/grpc/grpc-listener.ts')
    return createGrpcListener(deps)
  }

const openListener = async (
  key: string,
  config: ConfiguredListener,
  limits: LimitsConfig,
  { pipeline, pdp, clock, log }: PortsOptions,
): Promise<OpenListener | Error> => {
  const listener = await createListenerFor(config.speaks)({
    config,
    tls: config.material,
    limits,
    clock,
    log,
    onExchange: (config.speaks === 'authzen' ? pdp : pipeline).handle,
    onParserRefusal: pipeline.refuseUnread,
  })
  try {
    return { key, config, limits, listener, address: await listener.listen() }
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}

const TURN_ATTEMPTS = 60
const TURN_PAUSE_MS = 50

/** The same; the address of another worker's old listener is free once all of them have closed theirs. */
const openInTurn = async (...args: Parameters<typeof openListener>): Promise<OpenListener | Error> => {
  const [, , , { place }] = args
  let opened = await openListener(...args)
  for (let attempt = 1; attempt < TURN_ATTEMPTS && place !== null; attempt += 1) {
    if (!(opened instanceof Error) || codeOf(opened) !== 'EADDRINUSE') return opened
    await new Promise((resolve) => setTimeout(resolve, TURN_PAUSE_MS))
    opened = await openListener(...args)
  }
  return opened
}

const openAdmin = async (
  bind: string,
  { admin }: State,
  { admin: deps, place }: PortsOptions,
): Promise<OpenAdmin> => {
  if (admin?.bind === bind) return admin
  const options = place === null ? {} : { door: place.adminDoor }
  return { bind, server: await startAdminServer(bind, deps, options) }
}
