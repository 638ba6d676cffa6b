import type { RecordEntry } from '../../core/record-entry.ts'
import { isRefusal, type RefusalCode } from '../../core/refusals.ts'
import { createDurationTally, type DurationTally } from './duration-tally.ts'

/** What becomes of requests, counted at each of them and told when it is asked for. */
export interface Traffic {
  /** @param outcome the entry's own, or what the caller got instead since that could not be recorded. */
  readonly decided: (entry: RecordEntry, outcome: RecordEntry['outcome']) => void
  /** A refusal was counted instead of recorded. */
  readonly coalesced: () => void
  readonly coalescedRefusals: () => number
  readonly began: () => void
  readonly ended: (durationUs: number) => void
  readonly inFlight: () => number
  readonly decisions: () => readonly DecisionCount[]
  /** Denies that were forwarded all the same. */
  readonly observed: () => readonly DecisionCount[]
  readonly upstreamFailures: () => readonly UpstreamFailureCount[]
  /** Ends of streams that were recorded. */
  readonly streamEnds: () => readonly StreamEndCount[]
  readonly durations: Readonly<Record<'authenticate' | 'decide' | 'request', DurationTally>>
}

export interface DecisionCount {
  readonly decision: 'allow' | 'deny'
  readonly code: string
  readonly source: string
  /** Empty when no route was found. */
  readonly route: string
  readonly count: number
}

export interface StreamEndCount {
  readonly kind: string
  readonly reason: string
  readonly count: number
}

export interface UpstreamFailureCount {
  readonly upstream: string
  readonly code: string
  readonly count: number
}

export const createTraffic = (): Traffic => {
  const decisions = createTally()
  const observed = createTally()
  const upstreamFailures = createTally()
  const streamEnds = createTally()
  const durations = {
    authenticate: createDurationTally(),
    decide: createDurationTally(),
    request: createDurationTally(),
  }
  let began = 0
  let ended = 0
  let coalesced = 0
  return {
    decided: (entry, outcome) => {
      const { route, latencyUs } = entry
      const { code, source } = verdictOf(outcome)
      if (entry.stream !== undefined) {
        streamEnds.add(entry.stream.kind, entry.stream.reason, '')
        return
      }
      decisions.add(route?.name ?? '', source, code)
      if (entry.observed === true) observed.add(route?.name ?? '', source, code)
      // The second record of a request has the times of the first, and is about what happened behind the decision.
      if (entry.follows !== undefined) {
        if (UPSTREAM_CODES.has(code)) upstreamFailures.add(route?.upstream ?? '', source, code)
        return
      }
      const { authenticate, decide } = latencyUs
      if (authenticate !== undefined) durations.authenticate.observe(authenticate)
      if (decide !== undefined) durations.decide.observe(decide)
    },
    coalesced: () => {
      coalesced += 1
    },
    coalescedRefusals: () => coalesced,
    began: () => {
      began += 1
    },
    ended: (durationUs) => {
      ended += 1
      durations.request.observe(durationUs)
    },
    inFlight: () => began - ended,
    decisions: () => decisions.read().map(decisionCount),
    observed: () => observed.read().map(decisionCount),
    upstreamFailures: () =>
      upstreamFailures.read().map(({ key, code, count }) => ({ upstream: key, code, count })),
    streamEnds: () =>
      streamEnds.read().map(({ key, source, count }) => ({ kind: key, reason: source, count })),
    durations,
  }
}

const UPSTREAM_CODES: ReadonlySet<string> = new Set<RefusalCode>(['upstream_unavailable', 'upstream_timeout'])

const verdictOf = (outcome: RecordEntry['outcome']): { readonly code: string; readonly source: string } => {
  if (isRefusal(outcome)) return { code: outcome.refusal, source: outcome.stage }
  return { code: outcome.decision === 'allow' ? 'allowed' : 'denied', source: outcome.source }
}

const decisionCount = ({ key, source, code, count }: TallyEntry): DecisionCount => ({
  decision: code === 'allowed' ? 'allow' : 'deny',
  code,
  source,
  route: key,
  count,
})

/** Names that came and went with edits must not fill the memory of whoever scrapes this. */
const MAX_KEYS = 2000
const OTHERS = 'other'

interface TallyEntry {
  readonly key: string
  readonly source: string
  readonly code: string
  readonly count: number
}

interface Tally {
  readonly add: (key: string, source: string, code: string) => void
  readonly read: () => readonly TallyEntry[]
}

/** Counts by three texts that exist already: nothing is joined or made for a count. */
const createTally = (): Tally => {
  const byKey = new Map<string, Map<string, Map<string, { count: number }>>>()
  return {
    add: (key, source, code) => {
      const kept = byKey.size < MAX_KEYS || byKey.has(key) ? key : OTHERS
      const counter = within(within(byKey, kept), source).get(code)
      if (counter === undefined) within(within(byKey, kept), source).set(code, { count: 1 })
      else counter.count += 1
    },
    read: () =>
      [...byKey].flatMap(([key, sources]) =>
        [...sources].flatMap(([source, codes]) =>
          [...codes].map(([code, { count }]) => ({ key, source, code, count })),
        ),
      ),
  }
}

const within = <T>(maps: Map<string, Map<string, T>>, key: string): Map<string, T> => {
  const known = maps.get(key)
  if (known !== undefined) return known
  const made = new Map<string, T>()
  maps.set(key, made)
  return made
}
