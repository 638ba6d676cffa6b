import type { Clock } from '../../core/clock.ts'
import type { MarkFile } from '../../gateway/decide/revocations/mark-file.ts'
import type { FromWorker, ToWorker } from './messages.ts'

type MarkMessage = Extract<
  FromWorker,
  { readonly kind: 'marks-wanted' | 'mark-published' | 'mark-withdrawn' | 'mark-applied' }
>

export const isMarkMessage = (message: FromWorker): message is MarkMessage =>
  message.kind === 'marks-wanted' || message.kind.startsWith('mark-')

/** Carries marks between the workers, keeps those in force for workers to come, and is the one writer of their file. */
export interface MarkHub {
  readonly receive: (worker: number, message: MarkMessage) => void
  /** It gets nothing any more, and is waited for no longer. */
  readonly left: (worker: number) => void
}

export interface MarkHubOptions {
  readonly file: MarkFile | null
  readonly clock: Clock
  readonly send: (worker: number, message: ToWorker) => void
}

interface Telling {
  readonly from: number
  readonly known: number
  readonly waiting: Set<number>
  readonly warning: { readonly warning?: string }
  readonly timer: NodeJS.Timeout
}

/** How long workers may take to apply a mark before it is answered without them. */
const APPLIED_MS = 1000

export const createMarkHub = ({ file, clock, send }: MarkHubOptions): MarkHub => {
  const marks = new Map((file?.marks ?? []).map((mark) => [mark.id, mark]))
  const workers = new Set<number>()
  const telling = new Map<string, Telling>()

  const settle = (id: string): void => {
    const told = telling.get(id)
    if (told === undefined) return
    telling.delete(id)
    clearTimeout(told.timer)
    const { from, known, waiting, warning } = told
    send(from, { kind: 'mark-told', id, told: { known, applied: known - waiting.size, ...warning } })
  }

  const applied = (id: string, worker: number): void => {
    const told = telling.get(id)
    told?.waiting.delete(worker)
    if (told?.waiting.size === 0) settle(id)
  }

  const tell = (from: number, id: string, message: ToWorker, failed: string | null): void => {
    const others = [...workers].filter((worker) => worker !== from)
    telling.set(id, {
      from,
      known: others.length + 1,
      waiting: new Set(others),
      warning: failed === null ? {} : { warning: `a restart will not know of it: ${failed}` },
      timer: setTimeout(() => settle(id), APPLIED_MS).unref(),
    })
    for (const worker of others) send(worker, message)
    if (others.length === 0) settle(id)
  }

  const forget = (): void => {
    for (const mark of marks.values()) if (clock.nowMs() >= mark.expiresAtMs) marks.delete(mark.id)
  }

  return {
    receive: (worker, message) => {
      switch (message.kind) {
        case 'marks-wanted':
          forget()
          workers.add(worker)
          return send(worker, { kind: 'marks', marks: [...marks.values()] })
        case 'mark-published':
          forget()
          marks.set(message.mark.id, message.mark)
          return tell(worker, message.mark.id, message, file?.add(message.mark) ?? null)
        case 'mark-withdrawn':
          marks.delete(message.id)
          return tell(worker, message.id, message, file?.remove(message.id) ?? null)
        case 'mark-applied':
          return applied(message.id, worker)
      }
    },
    left: (worker) => {
      workers.delete(worker)
      for (const id of [...telling.keys()]) applied(id, worker)
    },
  }
}
