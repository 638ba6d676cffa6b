import type { Clock } from '../core/clock.ts'

/** What a command may touch of the process around it. */
export interface CommandIo {
  readonly out: (text: string) => void
  readonly err: (text: string) => void
  readonly env: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  /** True when standard output is a terminal that wants colour. */
  readonly colour: boolean
  /** Resolves at the first SIGTERM or SIGINT. */
  readonly stopRequested: () => Promise<void>
  /** Calls back at each SIGHUP from now on, which then does not end the process. */
  readonly reloadRequested: (listener: () => void) => void
}

/** Exit codes of every command: all is well, findings (or a deny), bad usage or configuration. */
export const EXIT = { ok: 0, findings: 1, usage: 2 } as const

/** Ends a command by its return value; commander's action ignores what it returns. */
export type Done = (exitCode: number) => void
