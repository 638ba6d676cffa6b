import type { SharedUse, SharedUses } from '../../core/shared-uses.ts'
import { memoryReplayStore } from '../../gateway/authenticate/replay-store.ts'
import type { FromWorker, ToWorker } from './messages.ts'

type Asked = Extract<FromWorker, { readonly kind: 'use-asked' }>
type ToldUse = Extract<ToWorker, { readonly kind: 'use-told' }>

/** A worker's way to what all of them remember. */
export interface WorkerUses {
  readonly use: SharedUses['use']
  readonly receive: (message: ToldUse) => void
}

/** How long the started process may take to answer. */
const TOLD_MS = 1000

export const createWorkerUses = (send: (message: FromWorker) => void): WorkerUses => {
  const waiting = new Map<number, (answer: SharedUse) => void>()
  let asked = 0
  return {
    use: (kind, key, forMs) =>
      new Promise((resolve) => {
        asked += 1
        const id = asked
        const settle = (answer: SharedUse): void => {
          clearTimeout(timer)
          waiting.delete(id)
          resolve(answer)
        }
        const timer = setTimeout(() => settle('unavailable'), TOLD_MS).unref()
        waiting.set(id, settle)
        send({ kind: 'use-asked', id, use: `${kind} ${key}`, forMs })
      }),
    receive: ({ id, answer }) => waiting.get(id)?.(answer === 'full' ? 'unavailable' : answer),
  }
}

/** Remembers, in the process that started the workers, what any of them has seen used. */
export const createUseDesk = (
  nowMs: () => number,
  send: (worker: number, message: ToldUse) => void,
): ((worker: number, message: Asked) => void) => {
  const store = memoryReplayStore()
  return (worker, { id, use, forMs }) => {
    const now = nowMs()
    send(worker, { kind: 'use-told', id, answer: store.use(use, now + forMs, now) })
  }
}
