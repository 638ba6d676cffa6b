/** How long one request has waited for what gateways share; all of its waits together have one deadline. */
export interface SharedWait {
  /** Whole milliseconds that are left of so many. @param nowUs by the monotonic clock. */
  readonly leftMs: (mostMs: number, nowUs: number) => number
  /** A wait begins; those that are under way at the same time count once. */
  readonly begin: (nowUs: number) => void
  /** To be called once for each that began. */
  readonly end: (nowUs: number) => void
  /** One that has as much left, and is not counted: to look for something while another is waited for. */
  readonly aside: (nowUs: number) => SharedWait
}

/** @param waitedUs what it has waited already, default 0. */
export const createSharedWait = (waitedUs = 0): SharedWait => {
  let totalUs = waitedUs
  let underWay = 0
  let sinceUs = 0
  const waitedBy = (nowUs: number): number => totalUs + (underWay === 0 ? 0 : Math.max(0, nowUs - sinceUs))
  return {
    leftMs: (mostMs, nowUs) => Math.max(0, Math.floor(mostMs - waitedBy(nowUs) / 1000)),
    begin: (nowUs) => {
      if (underWay === 0) sinceUs = nowUs
      underWay += 1
    },
    end: (nowUs) => {
      if (underWay === 1) totalUs = waitedBy(nowUs)
      underWay -= 1
    },
    aside: (nowUs) => createSharedWait(waitedBy(nowUs)),
  }
}

const waits = new WeakMap<() => AbortSignal, SharedWait>()

/**
 * The wait of the request that this caller made. Made on first use, as most requests wait for nothing.
 *
 * @param caller what every stage has of it: the very function, which is the same until the request is answered, also when
 *   it is taken again from the start.
 */
export const sharedWaitOf = (caller: () => AbortSignal): SharedWait => {
  const known = waits.get(caller)
  if (known !== undefined) return known
  const wait = createSharedWait()
  waits.set(caller, wait)
  return wait
}
