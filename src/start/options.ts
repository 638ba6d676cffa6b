import type { AdminDoor } from '../admin/admin-door.ts'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { Finding } from '../core/problem.ts'
import type { SharedUses } from '../core/shared-uses.ts'
import type { MarkPeers } from '../gateway/decide/revocations/mark-peers.ts'
import type { WatchTimes } from './watch.ts'

/** What a gateway is started with; everything else is in the configuration file. */
export interface StartOptions {
  readonly file: string
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly log: Log
  /** How edits are picked up; null: only `reload` does. */
  readonly watch?: WatchTimes | null
  /** Where this process is one of several that serve together. */
  readonly place?: WorkerPlace
}

/** The place of a process among several, and what it cannot do by itself. */
export interface WorkerPlace {
  /** From 0. */
  readonly index: number
  readonly count: number
  /** One port of the started process answers for all. */
  readonly adminDoor: AdminDoor
  /** Marks that are published here are for all of them. */
  readonly peers: MarkPeers
  /** Uses that all of them remember, when no Redis does. */
  readonly use: SharedUses['use']
}

export interface NotStarted {
  readonly findings: readonly Finding[]
}

/** Something that is wrong with a configuration, but with no line of it. */
export const notStarted = (file: string, rule: string, message: string): NotStarted => ({
  findings: [{ severity: 'error', rule, file, line: 1, column: 1, message }],
})
