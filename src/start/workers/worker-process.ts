import cluster from 'node:cluster'
import type { Duplex } from 'node:stream'
import { type ChannelStream, createChannelStream } from './channel-stream.ts'
import { type AdminPeer, type FromWorker, isMessage, type ToWorker } from './messages.ts'
import { workerEnvironment } from './worker.ts'

/** One worker, from its start to its end. */
export interface WorkerProcess {
  readonly pid: number | undefined
  readonly send: (message: ToWorker) => void
  /** A connection to its admin server for this `bind`. */
  readonly connect: (bind: string, peer: AdminPeer) => Duplex
  readonly kill: () => void
}

export interface WorkerEvents {
  readonly onMessage: (message: FromWorker) => void
  /** @param how its exit code, or the signal that ended it. */
  readonly onEnd: (how: number | string) => void
}

/** Starts the same program with the same arguments as a worker, which shares the listeners of all. */
export const startWorkerProcess = (
  { index, count }: { readonly index: number; readonly count: number },
  { onMessage, onEnd }: WorkerEvents,
): WorkerProcess => {
  const worker = cluster.fork(workerEnvironment(index, count))
  const streams = new Map<number, ChannelStream>()
  let lastStream = 0

  const send = (message: ToWorker): void => {
    // One that has just ended gets nothing; its end is told below.
    if (worker.isConnected()) worker.process.send(message, undefined, undefined, () => undefined)
  }
  worker.on('error', () => undefined)
  worker.on('message', (value: unknown) => {
    if (!isMessage(value)) return
    // What a worker sends is of this type.
    const message = value as FromWorker
    if ('stream' in message) streams.get(message.stream)?.receive(message)
    else onMessage(message)
  })
  worker.once('exit', (code, signal) => {
    for (const { stream } of streams.values()) stream.destroy()
    onEnd(signal ?? code)
  })
  return {
    pid: worker.process.pid,
    send,
    connect: (bind, peer) => {
      lastStream += 1
      const id = lastStream
      const made = createChannelStream(id, send)
      streams.set(id, made)
      made.stream.once('close', () => streams.delete(id))
      send({ kind: 'stream-open', stream: id, bind, peer })
      return made.stream
    },
    kill: () => worker.process.kill('SIGKILL'),
  }
}
