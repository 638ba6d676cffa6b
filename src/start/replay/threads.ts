import { isDeepStrictEqual } from 'node:util'
import { Worker } from 'node:worker_threads'
import type { Finding } from '../../core/problem.ts'
import type { BatchResult } from './replay-batch.ts'
import type { Opened, WorkerSettings } from './worker.ts'

/** Where pieces of a log are decided again. */
export interface Threads {
  /** Resolves as soon as somebody has taken the lines, which then belong to him. */
  readonly give: (lines: Buffer) => Promise<void>
  /** Resolves when all that was given is done. Rejects with what went wrong in a thread, or because it was stopped. */
  readonly end: () => Promise<void>
}

/** Threads that can decide, or what is wrong with the draft. */
export type OpenedThreads =
  | { readonly threads: Threads; readonly configVersion: string }
  | { readonly findings: readonly Finding[] }

export type OnResult = (result: BatchResult) => void

/** Batches that wait in front of a thread, besides the one that it is at. */
const AHEAD = 1
// A thread keeps little: the draft, one batch, and decisions that are asked for again.
const HEAP = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 }

interface Thread {
  readonly worker: Worker
  outstanding: number
}

/**
 * In so many threads, each with a draft of its own; the one that asks for them need not load it.
 *
 * One thread looks at the draft before there are others.
 *
 * @param signal gives up.
 */
export const inThreads = async (
  count: number,
  settings: WorkerSettings,
  onResult: OnResult,
  signal?: AbortSignal,
): Promise<OpenedThreads> => {
  let failure: Error | null = null
  let wake: () => void = () => undefined
  const openings: Opened[] = []
  const start = (): Thread => {
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: settings,
      resourceLimits: HEAP,
    })
    const thread = { worker, outstanding: 0 }
    worker.on('message', (said: { readonly opened: Opened } | { readonly result: BatchResult }) => {
      if ('result' in said) {
        thread.outstanding -= 1
        onResult(said.result)
      } else if (openings.length > 0 && !isDeepStrictEqual(said.opened, openings[0])) {
        failure ??= new Error('the draft changed while it was read')
      } else {
        openings.push(said.opened)
      }
      wake()
    })
    worker.on('error', (error) => {
      failure ??= error
      wake()
    })
    return thread
  }
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) {
      if (failure !== null) throw failure
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    if (failure !== null) throw failure
  }
  const stop = (): void => {
    failure ??= new Error('stopped')
    wake()
  }
  if (signal?.aborted === true) stop()
  signal?.addEventListener('abort', stop, { once: true })
  const threads = [start()]
  const terminate = async (): Promise<void> => {
    signal?.removeEventListener('abort', stop)
    await Promise.all(threads.map(({ worker }) => worker.terminate()))
  }
  try {
    await until(() => openings.length > 0)
  } catch (error) {
    await terminate()
    throw error
  }
  const [opened] = openings
  if (opened === undefined || 'findings' in opened) {
    await terminate()
    return { findings: opened?.findings ?? [] }
  }
  while (threads.length < count) threads.push(start())
  const leastBusy = (): Thread | undefined =>
    threads.toSorted((left, right) => left.outstanding - right.outstanding)[0]
  const made: Threads = {
    give: async (lines) => {
      await until(() => (leastBusy()?.outstanding ?? 0) <= AHEAD)
      const thread = leastBusy()
      if (thread === undefined) throw new Error('there is no thread')
      thread.outstanding += 1
      // A buffer of its own, so that it can be handed over.
      const bytes = new Uint8Array(lines)
      thread.worker.postMessage(bytes, [bytes.buffer])
    },
    end: async () => {
      try {
        await until(() => threads.every(({ outstanding }) => outstanding === 0))
      } finally {
        await terminate()
      }
    },
  }
  return { threads: made, configVersion: opened.configVersion }
}
