import type { OriginHealth } from './origin-health.ts'

export interface Candidate<T> {
  readonly value: T
  readonly health: Pick<OriginHealth, 'isOut' | 'isAiling' | 'isUnreachable' | 'takeTrial'>
}

/**
 * Chooses where requests go: each origin in turn, without those that are out.
 *
 * One that is out gets a request now and then, to see whether it is back. Where all are out, those that can be
 * reached serve as well as they can.
 *
 * @returns null when nothing can be reached, or all of it is among `tried`.
 */
export const createPick = <T>(
  candidates: readonly Candidate<T>[],
): ((tried?: ReadonlySet<T>) => T | null) => {
  let turn = 0
  const next = (
    tried: ReadonlySet<T> | undefined,
    isFit: (health: Candidate<T>['health']) => boolean,
  ): T | null => {
    for (let offset = 0; offset < candidates.length; offset += 1) {
      const index = (turn + offset) % candidates.length
      const candidate = candidates[index]
      if (candidate === undefined || tried?.has(candidate.value) === true || !isFit(candidate.health))
        continue
      turn = (index + 1) % candidates.length
      return candidate.value
    }
    return null
  }
  return (tried) => next(tried, isWell) ?? next(tried, isReachable) ?? next(tried, isWorthATrial)
}

// What an active check has found ailing is brought back by a check, and not tried on callers.
const isWell = (health: Candidate<unknown>['health']): boolean =>
  !health.isOut() || (!health.isAiling() && health.takeTrial())

const isReachable = (health: Candidate<unknown>['health']): boolean => !health.isUnreachable()

const isWorthATrial = (health: Candidate<unknown>['health']): boolean => health.takeTrial()
