import type { Log } from '../../../core/log.ts'
import type { RevocationFeed } from './feed.ts'
import { createListeners } from './listeners.ts'
import type { Mark } from './mark.ts'

/** A feed that another can take the place of, under those who use it. */
export interface SwitchFeed extends RevocationFeed {
  /** What was held of the one before is void then. Does not close it. */
  readonly switchTo: (next: RevocationFeed) => void
}

export const createSwitchFeed = (first: RevocationFeed, log: Log): SwitchFeed => {
  const listeners = createListeners<Mark>(log)
  let inner = first
  /** Of those before, so that the sum never comes to what it was. */
  let changesBefore = 0
  let unsubscribe = inner.onMark(listeners.tell)
  return {
    freshness: () => inner.freshness(),
    position: () => inner.position(),
    changes: () => changesBefore + inner.changes(),
    voids: (grant, held) => inner.voids(grant, held),
    refuses: (identity) => inner.refuses(identity),
    publish: (draft, insists) => inner.publish(draft, insists),
    withdraw: (id, by) => inner.withdraw(id, by),
    list: () => inner.list(),
    onMark: listeners.add,
    status: () => inner.status(),
    close: () => inner.close(),
    switchTo: (next) => {
      unsubscribe()
      changesBefore += inner.changes() + 1
      inner = next
      unsubscribe = inner.onMark(listeners.tell)
    },
  }
}
