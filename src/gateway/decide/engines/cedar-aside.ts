import { Worker } from 'node:worker_threads'
import type { Schema } from '@cedar-policy/cedar-wasm/nodejs'
import type { Finding } from '../../../core/problem.ts'
import type { StoredEntity } from './cedar-entities.ts'
import { type Report, type SourceFile, textOf } from './cedar-findings.ts'
import type { CedarPolicy } from './cedar-policies.ts'

/** What the other thread is given. */
export interface AsideTask {
  readonly policies: readonly SourceFile[]
  readonly links: readonly SourceFile[]
  readonly entities: SourceFile | null
  readonly schema: Schema | null
}

/** A policy without the texts of its file, which would be copied with each. */
export interface PackedPolicy extends Omit<CedarPolicy, 'text' | 'piece'> {
  /** Place among the files of policies and, after them, links. */
  readonly file: number
  readonly start: number
  readonly length: number
}

/** What comes back: findings first, then entities and policies as they are asked for. */
export type AsideMessage =
  | { readonly findings: readonly Finding[] }
  | { readonly entities: readonly (readonly [string, StoredEntity])[] }
  | { readonly policies: readonly PackedPolicy[]; readonly isLast: boolean }

/** Asks for the next message. */
export const NEXT = 'next'

export interface Takers {
  readonly takeEntities: (entities: Iterable<readonly [string, StoredEntity]>) => void
  readonly takePolicies: (policies: readonly CedarPolicy[]) => void
  readonly report: Report
}

/**
 * Has policies and entities read and validated in another thread, and takes them over in small steps, between which whatever else
 * there is to do is done.
 *
 * Rejects with what went wrong there, or with the reason of the signal.
 */
export const readAside = (task: AsideTask, takers: Takers, signal: AbortSignal): Promise<void> => {
  signal.throwIfAborted()
  const files = [...task.policies, ...task.links]
  const texts = files.map(textOf)
  const unpack = ({ file, start, length, ...policy }: PackedPolicy): CedarPolicy => {
    const source = files[file]
    const whole = texts[file]
    if (source === undefined || whole === undefined) throw new Error('a policy of a file that was not given')
    const text = whole.slice(start, start + length)
    return { ...policy, text, piece: { file: source.path, whole, start, text } }
  }
  const worker = new Worker(new URL('./cedar-aside-worker.js', import.meta.url), { workerData: task })
  return new Promise<void>((resolve, reject) => {
    const end = (settle: () => void): void => {
      signal.removeEventListener('abort', aborted)
      // An error after the end concerns nobody.
      worker.removeAllListeners().on('error', () => undefined)
      void worker.terminate()
      settle()
    }
    const aborted = (): void => end(() => reject(signal.reason))
    signal.addEventListener('abort', aborted, { once: true })
    worker.on('error', (error) => end(() => reject(error)))
    worker.on('exit', (code) => end(() => reject(new Error(`reading policies ended with code ${code}`))))
    const take = (message: AsideMessage): void => {
      if ('findings' in message) message.findings.forEach(takers.report)
      else if ('entities' in message) takers.takeEntities(message.entities)
      else takers.takePolicies(message.policies.map(unpack))
    }
    worker.on('message', (message: AsideMessage) => {
      try {
        take(message)
      } catch (bug) {
        end(() => reject(bug))
        return
      }
      if ('isLast' in message && message.isLast) end(resolve)
      // Only after whatever waits was served: messages that are there already come all in one turn.
      else setImmediate(() => worker.postMessage(NEXT))
    })
  })
}
