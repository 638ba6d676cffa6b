import { Worker } from 'node:worker_threads'
import type { Draft } from './draft.ts'
import { type BatchResult, replayBatch } from './replay-batch.ts'
import type { WorkerSettings } from './worker.ts'

/** Where pieces of a log are decided again. */
export interface Threads {
  /** Resolves as soon as somebody has taken the lines, which then belong to him. */
  readonly give: (lines: Buffer) => Promise<void>
  /** Resolves when all that was given is done. Rejects with what went wrong in a thread. */
  readonly end: () => Promise<void>
  /** Gives up. */
  readonly stop: () => void
}

type OnResult = (result: BatchResult) => void

/** In this thread, for what is not worth more. */
export const inThisThread = (draft: Draft, wantsIds: boolean, onResult: OnResult): Threads => ({
  give: async (lines) => onResult(await replayBatch(lines, draft.decideAgain, wantsIds)),
  end: async () => undefined,
  stop: () => undefined,
})

/** Batches that wait in front of a thread, besides the one that it is at. */
const AHEAD = 1
// A thread keeps little: the draft, one batch, and decisions that are asked for again.
const HEAP = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4 }

interface Thread {
  readonly worker: Worker
  outstanding: number
}

/** In so many threads, each with a draft of its own. */
export const inThreads = (count: number, settings: WorkerSettings, onResult: OnResult): Threads => {
  let failure: Error | null = null
  let wake: () => void = () => undefined
  const threads = Array.from({ length: count }, (): Thread => {
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      workerData: settings,
      resourceLimits: HEAP,
    })
    const thread = { worker, outstanding: 0 }
    worker.on('message', (result: BatchResult) => {
      thread.outstanding -= 1
      onResult(result)
      wake()
    })
    worker.on('error', (error) => {
      failure ??= error
      wake()
    })
    return thread
  })
  const until = async (isSo: () => boolean): Promise<void> => {
    while (!isSo()) {
      if (failure !== null) throw failure
      await new Promise<void>((resolve) => {
        wake = resolve
      })
    }
    if (failure !== null) throw failure
  }
  const leastBusy = (): Thread | undefined =>
    threads.toSorted((left, right) => left.outstanding - right.outstanding)[0]
  return {
    give: async (lines) => {
      await until(() => (leastBusy()?.outstanding ?? 0) <= AHEAD)
      const thread = leastBusy()
      if (thread === undefined) throw new Error('there is no thread')
      thread.outstanding += 1
      // A buffer of its own, so that it can be handed over.
      const bytes = new Uint8Array(lines)
      thread.worker.postMessage(bytes, [bytes.buffer])
    },
    stop: () => {
      failure ??= new Error('stopped')
      wake()
    },
    end: async () => {
      try {
        await until(() => threads.every(({ outstanding }) => outstanding === 0))
      } finally {
        await Promise.all(threads.map(({ worker }) => worker.terminate()))
      }
    },
  }
}
