import type { Clock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import type { Finding } from '../../core/problem.ts'
import type { MarkFile } from '../../gateway/decide/revocations/mark-file.ts'
import { type AdminDesk, createAdminDesk } from './admin-desk.ts'
import { createMarkHub, isMarkMessage } from './mark-hub.ts'
import type { FromWorker } from './messages.ts'
import { createRestarts, type Restarts } from './restarts.ts'
import { startWorkerProcess, type WorkerProcess } from './worker-process.ts'
import { createUseDesk } from './worker-uses.ts'

export interface PrimaryOptions {
  readonly count: number
  /** As the configuration that was started with says it. */
  readonly drainTimeoutMs: number
  /** Keeps marks across a restart; null: they end with the process. */
  readonly markFile: MarkFile | null
  readonly clock: Clock
  readonly log: Log
}

/** The processes that serve, and the port that answers for them. */
export interface Primary {
  /** Why they could not be started; null: all of them are ready. */
  readonly started: Promise<readonly Finding[] | null>
  readonly reload: () => void
  /** Lets all of them finish what is under way. @returns false when one had to be killed. */
  readonly stop: () => Promise<boolean>
  /** Resolves when workers end as fast as they are started. */
  readonly failed: Promise<void>
}

interface Slot {
  readonly index: number
  readonly restarts: Restarts
  process: WorkerProcess | null
  ready: boolean
  timer: NodeJS.Timeout | undefined
}

interface State {
  readonly slots: readonly Slot[]
  readonly desk: AdminDesk
  restarts: number
  stopping: boolean
  /** True once all were ready. */
  serving: boolean
  addresses: readonly string[]
  version: string
}

/** What is left to a worker beyond `drainTimeout`, to flush its logs. */
const END_MS = 5_000

/** Starts the workers, starts those anew that end, and speaks for all of them. */
export const startPrimary = (options: PrimaryOptions): Primary => {
  const { count, clock, log } = options
  const starting = withResolvers<readonly Finding[] | null>()
  const failing = withResolvers<void>()
  const state: State = {
    slots: Array.from({ length: count }, (_, index) => ({
      index,
      restarts: createRestarts(clock),
      process: null,
      ready: false,
      timer: undefined,
    })),
    desk: createAdminDesk((bind) => ({
      doors: () =>
        state.slots.flatMap(({ index, process, ready }) =>
          ready && process !== null ? [{ index, connect: (peer) => process.connect(bind, peer) }] : [],
        ),
      overview: () => ({ count, missing: missingIn(state), restarts: state.restarts }),
      log,
    })),
    restarts: 0,
    stopping: false,
    serving: false,
    addresses: [],
    version: '',
  }

  const start = (slot: Slot): void => {
    slot.restarts.started()
    slot.process = startWorkerProcess(
      { index: slot.index, count },
      { onMessage: (message) => onMessage(slot, message), onEnd: (how) => onEnd(slot, how) },
    )
  }

  const onMessage = (slot: Slot, message: FromWorker): void => {
    if (message.kind === 'ready') {
      slot.ready = true
      Object.assign(state, { addresses: message.addresses, version: message.version })
      state.desk.workersChanged()
      onReady()
    } else if (message.kind === 'not-started') {
      if (!state.serving) starting.resolve(message.findings)
      log.error({ worker: slot.index, findings: message.findings }, 'a worker could not be started')
    } else if (message.kind === 'admin-open') {
      state.desk.open(message.bind, slot.index).then(
        (address) => slot.process?.send({ kind: 'admin-opened', bind: message.bind, address }),
        (error: Error) =>
          slot.process?.send({ kind: 'admin-failed', bind: message.bind, why: error.message }),
      )
    } else if (message.kind === 'admin-close') state.desk.close(message.bind, slot.index)
    else if (message.kind === 'use-asked') answerUse(slot.index, message)
    else if (isMarkMessage(message)) hub.receive(slot.index, message)
  }

  const hub = createMarkHub({
    file: options.markFile,
    clock,
    send: (worker, message) => state.slots[worker]?.process?.send(message),
  })

  const answerUse = createUseDesk(clock.nowMs, (worker, message) =>
    state.slots[worker]?.process?.send(message),
  )

  const onReady = (): void => {
    if (state.serving || !state.slots.every(({ ready }) => ready)) return
    state.serving = true
    const { addresses, version } = state
    log.info({ addresses, admin: state.desk.address(), config: version, workers: count }, 'listening')
    starting.resolve(null)
  }

  const onEnd = (slot: Slot, how: number | string): void => {
    const { pid } = slot.process ?? {}
    slot.process = null
    slot.ready = false
    hub.left(slot.index)
    state.desk.workersChanged()
    if (state.stopping) return
    state.restarts += 1
    const pauseMs = pauseAfter(slot, state)
    log.error({ worker: slot.index, pid, how, restarts: state.restarts, pauseMs }, 'a worker has ended')
    if (pauseMs === null) return failing.resolve()
    slot.timer = setTimeout(() => start(slot), pauseMs)
  }

  state.slots.forEach(start)
  return {
    started: starting.promise,
    failed: failing.promise,
    reload: () => {
      for (const { process } of state.slots) process?.send({ kind: 'reload' })
    },
    stop: () => stopAll(state, options),
  }
}

const LONGEST_PAUSE_MS = 5_000

/** While others serve, one that cannot be started is tried again for ever: what is wrong may be mended. */
const pauseAfter = (slot: Slot, { slots }: State): number | null =>
  slot.restarts.ended() ?? (slots.some(({ ready }) => ready) ? LONGEST_PAUSE_MS : null)

const missingIn = ({ slots, stopping }: State): readonly string[] => [
  ...(stopping ? ['draining'] : []),
  ...slots.flatMap(({ index, ready }) => (ready || stopping ? [] : [`worker ${index}: starting`])),
]

const stopAll = async (state: State, { drainTimeoutMs, log }: PrimaryOptions): Promise<boolean> => {
  state.stopping = true
  let killed = false
  const kill = setTimeout(() => {
    for (const { index, process } of state.slots) {
      if (process === null) continue
      killed = true
      log.error({ worker: index }, 'a worker did not end in time and is killed')
      process.kill()
    }
  }, drainTimeoutMs + END_MS)
  for (const slot of state.slots) {
    clearTimeout(slot.timer)
    slot.process?.send({ kind: 'stop' })
  }
  await Promise.all(state.slots.map(ended))
  clearTimeout(kill)
  await state.desk.closeAll()
  return !killed
}

const LOOK_MS = 20

const ended = async (slot: Slot): Promise<void> => {
  while (slot.process !== null) await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
}

const withResolvers = <T>(): { readonly promise: Promise<T>; readonly resolve: (value: T) => void } => {
  let resolve: (value: T) => void = () => undefined
  const promise = new Promise<T>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
