import { parentPort, workerData } from 'node:worker_threads'
import { systemClock } from '../../core/clock.ts'
import type { Log } from '../../core/log.ts'
import type { Finding } from '../../core/problem.ts'
import { openDraft } from './draft.ts'
import { replayBatch } from './replay-batch.ts'

/** What a thread is started with. */
export interface WorkerSettings {
  readonly file: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly wantsIds: boolean
  /** What files of the draft hold in place of what is on the disk. */
  readonly instead?: ReadonlyMap<string, string>
}

/** What a thread says first: it can decide, or what is wrong with the draft. Plain data. */
export type Opened = { readonly configVersion: string } | { readonly findings: readonly Finding[] }

const silent = (): void => undefined
const log: Log = { debug: silent, info: silent, warn: silent, error: silent }

const run = async (): Promise<void> => {
  const port = parentPort
  if (port === null) return
  // What `startReplay` gives.
  const { file, env, wantsIds, instead } = workerData as WorkerSettings
  const draft = await openDraft({ file, env, clock: systemClock, log, ...(instead && { instead }) })
  if ('findings' in draft) {
    port.postMessage({ opened: { findings: draft.findings } satisfies Opened })
    return port.close()
  }
  port.postMessage({ opened: { configVersion: draft.configuration.version } satisfies Opened })
  let turn: Promise<void> = Promise.resolve()
  port.on('message', (bytes: Uint8Array | null) => {
    turn = turn.then(async () => {
      if (bytes === null) {
        await draft.close()
        port.close()
        return
      }
      const lines = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      port.postMessage({ result: await replayBatch(lines, draft.decideAgain, wantsIds) })
    })
  })
}

await run()
