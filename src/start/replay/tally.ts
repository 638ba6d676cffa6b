import { OUTCOMES, type Outcome, type Verdict } from './verdict.ts'

export const DIMENSIONS = ['route', 'policy', 'subject', 'reason'] as const
export type Dimension = (typeof DIMENSIONS)[number]

/** Decisions that have an outcome and one more thing in common. */
export interface Group {
  readonly name: string
  readonly count: number
  /** Decision ids of some of them. */
  readonly examples: readonly string[]
}

/** What came of some recorded decisions. Plain data: it goes between threads. */
export interface Tally {
  readonly lines: number
  /** Decisions, each as often as its line says. */
  readonly records: number
  readonly skipped: Readonly<Record<Skipped, number>>
  readonly counts: Readonly<Record<Outcome, number>>
  /** Of `unmapped`: had a route when they were recorded. */
  readonly newlyUnmapped: number
  /** Of `unchanged`: determined by other policies. */
  readonly otherReasons: number
  /** Of all outcomes but `unchanged`. */
  readonly groups: Readonly<
    Record<Exclude<Outcome, 'unchanged'>, Readonly<Record<Dimension, readonly Group[]>>>
  >
}

export const SKIPPED = ['illegible', 'follows', 'not-a-request'] as const
export type Skipped = (typeof SKIPPED)[number]

const MAX_EXAMPLES = 5
/** Subjects are as many as callers: what comes later is counted together. */
const MAX_NAMES = 5000
const OTHERS = '(others)'

type Counted = Exclude<Outcome, 'unchanged'>

interface OpenGroup {
  count: number
  readonly examples: string[]
}

/** Adds up verdicts, in memory that does not grow with their number. */
export interface Tallying {
  readonly add: (verdict: Verdict, id: string, count: number) => void
  readonly line: () => void
  readonly skip: (why: Skipped, count: number) => void
  readonly merge: (tally: Tally) => void
  readonly result: () => Tally
}

const zeros = <K extends string>(keys: readonly K[]): Record<K, number> =>
  // Every key is there.
  Object.fromEntries(keys.map((key) => [key, 0])) as Record<K, number>

export const createTallying = (): Tallying => {
  const counts = zeros(OUTCOMES)
  const skipped = zeros(SKIPPED)
  const groups = new Map<string, Map<string, OpenGroup>>()
  const totals = { lines: 0, records: 0, newlyUnmapped: 0, otherReasons: 0 }

  const addTo = (
    outcome: Counted,
    dimension: Dimension,
    name: string,
    count: number,
    ids: readonly string[],
  ): void => {
    const key = `${outcome} ${dimension}`
    const names = groups.get(key) ?? new Map<string, OpenGroup>()
    groups.set(key, names)
    const under = names.has(name) || names.size < MAX_NAMES ? name : OTHERS
    const group = names.get(under) ?? { count: 0, examples: [] }
    names.set(under, group)
    group.count += count
    for (const id of ids) if (id !== '' && group.examples.length < MAX_EXAMPLES) group.examples.push(id)
  }

  const sorted = (outcome: Counted, dimension: Dimension): readonly Group[] =>
    [...(groups.get(`${outcome} ${dimension}`) ?? [])]
      .map(([name, group]) => ({ name, ...group }))
      .sort((left, right) => right.count - left.count || (left.name < right.name ? -1 : 1))

  return {
    add: (verdict, id, count) => {
      const { outcome } = verdict
      counts[outcome] += count
      totals.records += count
      if (verdict.otherReasons) totals.otherReasons += count
      if (outcome === 'unchanged') return
      if (outcome === 'unmapped' && verdict.wasMapped) totals.newlyUnmapped += count
      const ids = [id]
      addTo(outcome, 'route', verdict.route ?? '(no route)', count, ids)
      for (const policy of verdict.policies) addTo(outcome, 'policy', policy, count, ids)
      if (verdict.subject !== null) addTo(outcome, 'subject', verdict.subject, count, ids)
      if (verdict.reason !== null) addTo(outcome, 'reason', verdict.reason, count, ids)
    },
    line: () => {
      totals.lines += 1
    },
    skip: (why, count) => {
      skipped[why] += count
    },
    merge: (tally) => {
      for (const outcome of OUTCOMES) counts[outcome] += tally.counts[outcome]
      for (const why of SKIPPED) skipped[why] += tally.skipped[why]
      totals.lines += tally.lines
      totals.records += tally.records
      totals.newlyUnmapped += tally.newlyUnmapped
      totals.otherReasons += tally.otherReasons
      for (const outcome of COUNTED) {
        for (const dimension of DIMENSIONS) {
          for (const { name, count, examples } of tally.groups[outcome][dimension])
            addTo(outcome, dimension, name, count, examples)
        }
      }
    },
    result: () => ({
      ...totals,
      counts: { ...counts },
      skipped: { ...skipped },
      groups: Object.fromEntries(
        COUNTED.map((outcome) => [
          outcome,
          Object.fromEntries(DIMENSIONS.map((dimension) => [dimension, sorted(outcome, dimension)])),
        ]),
        // Every outcome and every dimension is there.
      ) as unknown as Tally['groups'],
    }),
  }
}

export const COUNTED: readonly Counted[] = OUTCOMES.filter((outcome) => outcome !== 'unchanged')
