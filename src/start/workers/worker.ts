import type { AdminDoor } from '../../admin/admin-door.ts'
import type { WorkerPlace } from '../options.ts'
import { type ChannelStream, createChannelStream } from './channel-stream.ts'
import { type FromWorker, isMessage, type ToWorker } from './messages.ts'
import { createWorkerMarks, isMarkMessageToWorker, type MarkMessageToWorker } from './worker-marks.ts'
import { createWorkerUses } from './worker-uses.ts'

/** How long the started process may take to open the admin port. */
const ADMIN_DEADLINE_MS = 10_000

const INDEX = 'SALLYPORT_WORKER_INDEX'
const COUNT = 'SALLYPORT_WORKER_COUNT'

/** The environment that tells a process which of several workers it is. */
export const workerEnvironment = (index: number, count: number): Readonly<Record<string, string>> => ({
  [INDEX]: String(index),
  [COUNT]: String(count),
})

/** The way from a worker to the process that started it. */
export interface WorkerLink {
  readonly place: WorkerPlace
  /** Resolves when it has left this process. */
  readonly send: (message: FromWorker) => Promise<void>
  /** Resolves when what must be known before it serves has arrived. */
  readonly prepared: Promise<void>
  /** Resolves when this worker is to end. */
  readonly stopRequested: Promise<void>
  readonly onReload: (listener: () => void) => void
}

/** A process that `fork` has started. */
export interface ForkedProcess {
  readonly send?:
    | ((message: unknown, handle: undefined, options: object, sent: () => void) => void)
    | undefined
  readonly on: (event: 'message', listener: (message: unknown) => void) => unknown
  readonly env: Readonly<Record<string, string | undefined>>
}

/** @returns null in a process that is no worker. */
export const openWorkerLink = (self: ForkedProcess): WorkerLink | null => {
  const [index, count] = [Number(self.env[INDEX]), Number(self.env[COUNT])]
  if (self.send === undefined || !(index >= 0) || !(count > 1)) return null
  const send = (message: FromWorker): Promise<void> =>
    new Promise((sent) => {
      if (self.send === undefined) sent()
      else self.send(message, undefined, {}, sent)
    })
  const marks = createWorkerMarks(index, (message) => void send(message))
  const uses = createWorkerUses((message) => void send(message))
  const admin = createAdminDoor((message) => void send(message))
  let stop: () => void
  const stopRequested = new Promise<void>((resolve) => {
    stop = resolve
  })
  let reload: () => void = () => undefined
  self.on('message', (value) => {
    if (!isMessage(value)) return
    // What the started process sends is of this type.
    const message = value as ToWorker
    if (message.kind === 'stop') stop()
    else if (message.kind === 'reload') reload()
    else if (message.kind === 'use-told') uses.receive(message)
    else if (isMarkMessageToWorker(message)) marks.receive(message)
    else admin.receive(message)
  })
  void send({ kind: 'marks-wanted' })
  return {
    place: { index, count, adminDoor: admin.door, peers: marks.peers, use: uses.use },
    send,
    prepared: marks.ready,
    stopRequested,
    onReload: (listener) => {
      reload = listener
    },
  }
}

type AdminMessage = Exclude<ToWorker, MarkMessageToWorker | { readonly kind: 'stop' | 'reload' | 'use-told' }>
type Connect = (stream: ChannelStream['stream']) => void

/** Lets the started process open the admin port, and takes the connections that it hands on. */
const createAdminDoor = (
  send: (message: FromWorker) => void,
): { readonly door: AdminDoor; readonly receive: (message: AdminMessage) => void } => {
  const streams = new Map<number, ChannelStream>()
  const doors = new Map<string, Connect>()
  const waiting = new Map<string, (answer: { readonly address: string } | { readonly why: string }) => void>()

  const openStream = (message: Extract<AdminMessage, { readonly kind: 'stream-open' }>): void => {
    const { stream: id, bind, peer } = message
    const made = createChannelStream(id, send)
    streams.set(id, made)
    made.stream.once('close', () => streams.delete(id))
    const connect = doors.get(bind)
    if (connect === undefined) made.stream.destroy()
    else connect(Object.assign(made.stream, peer))
  }

  const door: AdminDoor = (server, bind) =>
    new Promise((resolve, reject) => {
      const open = new Set<ChannelStream['stream']>()
      const deadline = setTimeout(() => {
        waiting.delete(bind)
        reject(new Error('the started process did not open the admin port in time'))
      }, ADMIN_DEADLINE_MS)
      waiting.set(bind, (answer) => {
        clearTimeout(deadline)
        waiting.delete(bind)
        if ('why' in answer) return reject(new Error(answer.why))
        doors.set(bind, (stream) => {
          open.add(stream)
          stream.once('close', () => open.delete(stream))
          server.emit('connection', stream)
        })
        resolve({
          address: () => answer.address,
          close: async () => {
            doors.delete(bind)
            send({ kind: 'admin-close', bind })
            await Promise.all(
              [...open].map((stream) => new Promise((closed) => stream.once('close', closed))),
            )
          },
          cut: () => {
            for (const stream of open) stream.destroy()
          },
        })
      })
      send({ kind: 'admin-open', bind })
    })

  return {
    door,
    receive: (message) => {
      if (message.kind === 'admin-opened') waiting.get(message.bind)?.({ address: message.address })
      else if (message.kind === 'admin-failed') waiting.get(message.bind)?.({ why: message.why })
      else if (message.kind === 'stream-open') openStream(message)
      else streams.get(message.stream)?.receive(message)
    },
  }
}
