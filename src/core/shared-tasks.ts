import type { SharedWait } from './shared-wait.ts'

/** Whose a task is, as JSON of type and id, and since when (milliseconds since the epoch). */
export interface TaskOwner {
  readonly subject: string
  readonly beganMs: number
}

/** Remembers for all gateways together whose a task is. */
export interface SharedTasks {
  /**
   * Makes the task this subject's unless it is somebody's already.
   *
   * @param forMs how long it is remembered at least.
   * @param wait of the request that is part of it.
   * @returns whose it is; null when no memory is shared. Never rejects; ends by the deadline of that request for Redis.
   */
  readonly claim: (
    id: string,
    owner: TaskOwner,
    forMs: number,
    wait: SharedWait,
  ) => Promise<TaskOwner | 'unavailable'> | null
}
