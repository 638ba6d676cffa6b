import type { Mark } from '../../gateway/decide/revocations/mark.ts'
import type { MarkPeers, PeerListener, Told } from '../../gateway/decide/revocations/mark-peers.ts'
import type { FromWorker, ToWorker } from './messages.ts'

export type MarkMessageToWorker = Extract<
  ToWorker,
  { readonly kind: 'marks' | 'mark-published' | 'mark-withdrawn' | 'mark-told' }
>

export const isMarkMessageToWorker = (message: ToWorker): message is MarkMessageToWorker =>
  message.kind === 'marks' || message.kind.startsWith('mark-')

/** A worker's way to the marks of all. */
export interface WorkerMarks {
  readonly peers: MarkPeers
  /** Resolves when `peers.known` is there. */
  readonly ready: Promise<void>
  readonly receive: (message: MarkMessageToWorker) => void
}

/** How long the started process may take to say that a mark was told to all. */
const TOLD_MS = 3000

export const createWorkerMarks = (index: number, send: (message: FromWorker) => void): WorkerMarks => {
  let known: readonly Mark[] = []
  let listener: PeerListener | null = null
  /** What came before anybody listened. */
  const early: ((to: PeerListener) => void)[] = []
  const waiting = new Map<string, (told: Told) => void>()
  let arrived: () => void
  const ready = new Promise<void>((resolve) => {
    arrived = resolve
  })

  const tell = (step: (to: PeerListener) => void): void => {
    if (listener === null) early.push(step)
    else step(listener)
  }

  const told = (id: string, message: FromWorker): Promise<Told> =>
    new Promise((resolve) => {
      const settle = (answer: Told): void => {
        clearTimeout(timer)
        waiting.delete(id)
        resolve(answer)
      }
      const warning = 'the other workers did not say in time that they know of it'
      const timer = setTimeout(() => settle({ known: 1, applied: 1, warning }), TOLD_MS).unref()
      waiting.set(id, settle)
      send(message)
    })

  return {
    ready,
    peers: {
      index,
      get known() {
        return known
      },
      publish: (mark) => told(mark.id, { kind: 'mark-published', mark }),
      withdraw: (id) => told(id, { kind: 'mark-withdrawn', id }),
      listen: (next) => {
        listener = next
        for (const step of early.splice(0)) step(next)
      },
    },
    receive: (message) => {
      switch (message.kind) {
        case 'marks':
          known = message.marks
          return arrived()
        case 'mark-told':
          return waiting.get(message.id)?.(message.told)
        case 'mark-published':
          tell(({ published }) => published(Object.freeze(message.mark)))
          return send({ kind: 'mark-applied', id: message.mark.id })
        case 'mark-withdrawn':
          tell(({ withdrawn }) => withdrawn(message.id))
          return send({ kind: 'mark-applied', id: message.id })
      }
    },
  }
}
