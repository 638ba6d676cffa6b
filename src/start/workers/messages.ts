import type { Finding } from '../../core/problem.ts'
import type { Mark } from '../../gateway/decide/revocations/mark.ts'
import type { Told } from '../../gateway/decide/revocations/mark-peers.ts'

/** Where a connection to the admin port comes from and came in. */
export interface AdminPeer {
  readonly remoteAddress: string
  readonly localAddress: string
}

/** Bytes of one connection that is carried between the two processes; see `createChannelStream`. */
export type StreamMessage =
  | { readonly kind: 'stream-data'; readonly stream: number; readonly base64: string }
  /** The last piece was taken: another may be sent. */
  | { readonly kind: 'stream-taken'; readonly stream: number }
  | { readonly kind: 'stream-end'; readonly stream: number }
  | { readonly kind: 'stream-gone'; readonly stream: number }

/** What a worker says to the process that started it. */
export type FromWorker =
  | StreamMessage
  | { readonly kind: 'ready'; readonly addresses: readonly string[]; readonly version: string }
  | { readonly kind: 'not-started'; readonly findings: readonly Finding[] }
  | { readonly kind: 'admin-open'; readonly bind: string }
  | { readonly kind: 'admin-close'; readonly bind: string }
  | { readonly kind: 'marks-wanted' }
  | { readonly kind: 'mark-published'; readonly mark: Mark }
  | { readonly kind: 'mark-withdrawn'; readonly id: string }
  /** Was it the first use? `id` is of this worker, for the answer. */
  | { readonly kind: 'use-asked'; readonly id: number; readonly use: string; readonly forMs: number }
  /** What was sent to it is applied. */
  | { readonly kind: 'mark-applied'; readonly id: string }

/** What the started process says to a worker. */
export type ToWorker =
  | StreamMessage
  | { readonly kind: 'admin-opened'; readonly bind: string; readonly address: string }
  | { readonly kind: 'admin-failed'; readonly bind: string; readonly why: string }
  | {
      readonly kind: 'stream-open'
      readonly stream: number
      readonly bind: string
      readonly peer: AdminPeer
    }
  | { readonly kind: 'marks'; readonly marks: readonly Mark[] }
  | { readonly kind: 'mark-published'; readonly mark: Mark }
  | { readonly kind: 'mark-withdrawn'; readonly id: string }
  /** What this worker has published or withdrawn has been told to all. */
  | { readonly kind: 'mark-told'; readonly id: string; readonly told: Told }
  | { readonly kind: 'use-told'; readonly id: number; readonly answer: 'first' | 'used' | 'full' }
  | { readonly kind: 'reload' }
  | { readonly kind: 'stop' }

/** Node's cluster sends messages of its own over the same channel. */
export const isMessage = (value: unknown): value is { readonly kind: string } =>
  typeof value === 'object' && value !== null && typeof Reflect.get(value, 'kind') === 'string'
