import type { SharedWait } from './shared-wait.ts'

/**
 * What all gateways keep together, each for a time, and who of them does now what only one may do. Nothing rejects.
 *
 * `wait` is that of the request that asks; left out: each step by itself has the whole deadline.
 */
export interface SharedValues {
  /** @returns `value` null when there is none; `unavailable` also when nothing is shared. */
  readonly read: (
    kind: string,
    key: string,
    wait?: SharedWait,
  ) => Promise<{ readonly value: string | null } | 'unavailable'>
  /**
   * @param kind of value, such as `session`; a name of our own.
   * @param forMs milliseconds after which it is gone.
   * @param how `replace`: only what is there, so that what was removed meanwhile stays away; else it is `absent`.
   */
  readonly write: (
    entry: { readonly kind: string; readonly key: string; readonly value: string; readonly forMs: number },
    how: 'new' | 'replace',
    wait?: SharedWait,
  ) => Promise<'written' | 'absent' | 'unavailable'>
  /**
   * Notes a member of a collection that is told by `members`.
   *
   * @param forMs milliseconds after which the member is forgotten. Of too many those that end first are forgotten sooner.
   * @returns false when it may not have been noted.
   */
  readonly note: (
    kind: string,
    key: string,
    member: string,
    forMs: number,
    wait?: SharedWait,
  ) => Promise<boolean>
  /** What was noted and has not ended, at most 1,000. */
  readonly members: (
    kind: string,
    key: string,
    wait?: SharedWait,
  ) => Promise<readonly string[] | 'unavailable'>
  /** False when it may still be there. */
  readonly remove: (kind: string, key: string, wait?: SharedWait) => Promise<boolean>
  /**
   * Takes what one of all gateways may have at a time.
   *
   * @param owner names this one holding of it; for `release`.
   * @param forMs milliseconds after which it is anybody's again, whatever has become of the holder.
   */
  readonly claim: (
    kind: string,
    key: string,
    owner: string,
    forMs: number,
    wait?: SharedWait,
  ) => Promise<'mine' | 'taken' | 'unavailable'>
  /** Gives back what is still this owner's. */
  readonly release: (kind: string, key: string, owner: string) => Promise<void>
}

/** Nothing is shared. */
export const NO_SHARED_VALUES: SharedValues = {
  read: () => Promise.resolve('unavailable'),
  write: () => Promise.resolve('unavailable'),
  note: () => Promise.resolve(false),
  members: () => Promise.resolve('unavailable'),
  remove: () => Promise.resolve(false),
  claim: () => Promise.resolve('unavailable'),
  release: () => Promise.resolve(),
}
