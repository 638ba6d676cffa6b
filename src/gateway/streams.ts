import type { Clock } from '../core/clock.ts'
import type { Decision } from '../core/decision.ts'
import type { Identity } from '../core/identity.ts'
import type { Log } from '../core/log.ts'
import type { RecordEntry } from '../core/record-entry.ts'
import { isRefusal, type Refusal, refuse } from '../core/refusals.ts'
import type { Accepted } from '../core/request.ts'
import type { StreamEnd, StreamEndReason, StreamKind, StreamRules } from '../core/stream.ts'
import { randomUuidV7 } from '../core/uuid.ts'
import type { Passage, Stages } from './stages.ts'
import {
  type Cut,
  type End,
  type Live,
  leaseOf,
  type StreamFacts,
  type SupervisedLease,
} from './stream-lease.ts'

/** What was let through, and by what. */
export type Allowed = Pick<Passage, 'accepted' | 'identity' | 'bound' | 'decision' | 'decisionId' | 'record'>

/** All that was let through and has not ended yet. */
export interface Streams {
  readonly open: (allowed: Allowed, held: string | undefined) => SupervisedLease
  /** Ends every stream that a mark covers: at once what is a stream for certain, the rest within a second. */
  readonly revoke: (isCovered: (facts: StreamFacts) => boolean, why: string, kind: string) => void
  /** How many there are, by kind. */
  readonly counts: () => Readonly<Record<StreamKind, number>>
}

/** What supervises streams, as of now. */
export type StreamStages = Pick<Stages, 'decide' | 'record' | 'revocations' | 'streamRoute'>

/**
 * All that is alive, in no order.
 *
 * Not a `Set`: V8 makes it a new table after so many changes, and a table that was left refers to the next one. The
 * collector of young objects then takes every request that passed through them for alive.
 */
interface Alive {
  readonly all: readonly Live[]
  readonly add: (live: Live) => void
  readonly remove: (live: Live) => void
}

const createAlive = (): Alive => {
  const all: Live[] = []
  return {
    all,
    add: (live) => {
      live.place = all.push(live) - 1
    },
    remove: (live) => {
      const last = all.pop()
      if (last !== undefined && last !== live) {
        all[live.place] = last
        last.place = live.place
      }
      live.place = -1
    },
  }
}

const SWEEP_MS = 250
/** A request that is younger may be one that is about to be answered: a mark gives it so long. */
const YOUNG_MS = 1000
const YOUNG_GRACE_MS = 700
/** No stream is decided again more often. */
const LEAST_RECHECK_MS = 1000
/** How long a stream whose grant has ended waits for an engine that does not answer. */
const PATIENCE_MS = 10_000

const DEFAULT_RULES: StreamRules = { recheckMs: 60_000, onCredentialExpiry: 'close' }

/**
 * Supervises what was let through for as long as it lasts: it ends by a covering mark, by a deny when it is decided
 * again, and with its credential, and each end of a stream is recorded.
 *
 * One timer looks at all of them, so that an ordinary request costs an entry in a list.
 *
 * @param current what decides now; streams outlive the configuration that let them through.
 */
export const createStreams = (deps: {
  readonly current: () => StreamStages
  readonly clock: Clock
  readonly log: Log
}): Streams => {
  const { current, clock } = deps
  const alive = createAlive()
  const end = createEnd(deps, alive)
  const recheck = createRecheck(deps, end.cut)
  let timer: NodeJS.Timeout | null = null
  let stages: StreamStages | null = null
  let changes: number | undefined

  const sweep = (): void => {
    if (alive.all.length === 0 && timer !== null) {
      clearInterval(timer)
      timer = null
      return
    }
    const nowMs = clock.nowMs()
    const now = current()
    const edited = stages !== null && stages !== now
    stages = now
    const marked = changes !== now.revocations?.changes?.()
    changes = now.revocations?.changes?.()
    // A copy, since to end one changes the places of the others.
    for (const live of [...alive.all]) {
      if (live.over || live.cut !== null) continue
      if (edited || (marked && isVoid(live, now))) live.nextCheckMs = nowMs
      look(live, nowMs)
    }
  }

  const look = (live: Live, nowMs: number): void => {
    const { identity, supervised } = live
    if (nowMs < live.nextCheckMs) return
    const route = current().streamRoute?.(live.accepted.route.name) ?? null
    const expiresAtMs = supervised ? (identity.credential.expiresAt ?? Infinity) * 1000 : Infinity
    const { onCredentialExpiry, recheckMs } = route?.stream ?? DEFAULT_RULES
    if (nowMs >= expiresAtMs && onCredentialExpiry === 'close') return end.cut(live, EXPIRED)
    const { deadlineMs = Infinity } = live.bound.task ?? {}
    if (supervised && !live.completesTask && nowMs >= deadlineMs) return end.cut(live, TASK_OVER)
    live.nextCheckMs = nextCheck(live, nowMs, recheckMs, onCredentialExpiry)
    recheck(live, route, nowMs)
  }

  return {
    open: (allowed, held) => {
      timer ??= setInterval(sweep, SWEEP_MS).unref()
      stages ??= current()
      const live = liveOf(allowed, held, clock)
      alive.add(live)
      return leaseOf(live, end)
    },
    revoke: (isCovered, why, kind) => {
      const covered = alive.all.filter(
        (live) =>
          live.supervised &&
          live.cut === null &&
          // The answer by which an application completes its task may end by itself.
          !(kind === 'task' && live.completesTask) &&
          isCovered(live),
      )
      const young = covered.filter((live) => isYoung(live, clock))
      for (const live of covered) if (!isYoung(live, clock)) end.cut(live, revoked(why))
      if (young.length === 0) return
      setTimeout(() => {
        for (const live of young) if (!live.over) end.cut(live, revoked(why))
      }, YOUNG_GRACE_MS).unref()
    },
    counts: () => {
      const counts = { transfer: 0, events: 0, websocket: 0 }
      for (const { kind } of alive.all) counts[kind] += 1
      return counts
    },
  }
}

const isYoung = ({ kind, openedUs }: Live, clock: Clock): boolean =>
  kind === 'transfer' && clock.monotonicUs() - openedUs < YOUNG_MS * 1000

/** True when nothing is known any more of what was held, as after the feed was emptied; a mark has ended it before. */
const isVoid = ({ supervised, identity, bound, held }: Live, { revocations }: StreamStages): boolean =>
  supervised && held !== undefined && revocations?.concern(identity, bound, held) === true

const NOBODY: Identity = {
  subject: { type: '', id: '' },
  credential: { type: 'anonymous', authenticator: '', id: '', digest: '' },
  claims: {},
}

const liveOf = (allowed: Allowed, held: string | undefined, clock: Clock): Live => {
  const { accepted, identity, bound, decision, decisionId, record } = allowed
  const live: Live = {
    accepted,
    identity: identity ?? NOBODY,
    // What is observed was not allowed in the first place.
    supervised: identity !== null && decision.decision === 'allow',
    bound,
    grant: decision.grant?.id ?? '',
    decision,
    decisionId,
    record,
    openedUs: clock.monotonicUs(),
    held,
    kind: 'transfer',
    bytesIn: 0,
    bytesOut: 0,
    nextCheckMs: 0,
    checks: 0,
    checking: null,
    failingSinceMs: null,
    onCut: null,
    cut: null,
    completesTask: false,
    over: false,
    place: -1,
  }
  const { recheckMs, onCredentialExpiry } = accepted.route.stream ?? DEFAULT_RULES
  live.nextCheckMs = nextCheck(live, clock.nowMs(), recheckMs, onCredentialExpiry, decision)
  return live
}

/** By the route's time, when the grant ends, or when the credential does if it ends with that. */
const nextCheck = (
  live: Live,
  nowMs: number,
  recheckMs: number,
  onCredentialExpiry: StreamRules['onCredentialExpiry'],
  decision?: Decision,
): number => {
  const grantEndsMs = decision?.grant?.expiresAtMs ?? Infinity
  const { deadlineMs = Infinity } = live.bound.task ?? {}
  const wanted = Math.min(nowMs + recheckMs, Math.max(grantEndsMs, nowMs + LEAST_RECHECK_MS))
  const due = Math.min(wanted, Math.max(deadlineMs, nowMs))
  if (onCredentialExpiry === 'continue') return due
  const { expiresAt } = live.identity.credential
  return expiresAt === undefined ? due : Math.min(due, Math.max(expiresAt * 1000, nowMs))
}

const createEnd = ({ current, clock, log }: Parameters<typeof createStreams>[0], alive: Alive): End => {
  const factsOf = ({ kind, openedUs, bytesIn, bytesOut }: Live, reason: StreamEndReason): StreamEnd => {
    const lifeMs = Math.round((clock.monotonicUs() - openedUs) / 1000)
    return { kind, reason, lifeMs, bytesIn, bytesOut }
  }

  const close = (live: Live): boolean => {
    if (live.over) return false
    live.over = true
    live.checking?.abort()
    alive.remove(live)
    return true
  }

  const over = (live: Live, reason: StreamEndReason): void => {
    if (!close(live)) return
    const { cut, kind, checks, accepted, bound, identity, supervised, decision, decisionId } = live
    // An ordinary request has one record.
    if (cut === null && kind === 'transfer' && checks === 0) return
    // What was not recorded after all was not sent either, and is nothing that another record could follow.
    if (live.record.settle() !== true) return
    const stream = factsOf(live, cut?.reason ?? reason)
    const entry: RecordEntry = {
      id: randomUuidV7(clock.nowMs()),
      follows: decisionId,
      outcome: cut?.outcome ?? decision,
      request: accepted.request,
      route: accepted.route,
      identity: supervised ? identity : null,
      bound,
      latencyUs: {},
      stream,
    }
    const recorded = current().record(entry)
    // What follows another record is never only counted.
    if (typeof recorded === 'object')
      log.error({ decisionId, detail: recorded.detail, stream }, 'not recorded')
  }

  return {
    over,
    cut: (live, cut) => {
      if (live.over || live.cut !== null) return
      live.cut = cut
      live.onCut?.(cut.refusal)
    },
    refused: (live) => {
      const { cut } = live
      return cut === null || !close(live) ? null : factsOf(live, cut.reason)
    },
  }
}

const createRecheck =
  ({ current, clock, log }: Parameters<typeof createStreams>[0], cut: End['cut']) =>
  (live: Live, route: Accepted['route'] | null, nowMs: number): void => {
    if (live.checking !== null) return
    if (route === null || (!live.supervised && route.access !== 'public')) {
      if (live.supervised || live.accepted.route.access === 'public') cut(live, ROUTE_CHANGED)
      return
    }
    // Observed routes let everything pass.
    if (!live.supervised || route.access === 'public' || route.mode === 'observe') return
    const stages = current()
    const held = stages.revocations?.held()
    const controller = new AbortController()
    live.checks += 1

    const settle = (answer: Decision | Refusal): void => {
      live.checking = null
      if (live.over || live.cut !== null) return
      if (isRefusal(answer)) {
        live.failingSinceMs ??= nowMs
        live.nextCheckMs = clock.nowMs() + LEAST_RECHECK_MS
        if (clock.nowMs() - live.failingSinceMs < PATIENCE_MS) return
        cut(live, { reason: 'undecided', refusal: answer, outcome: answer })
      } else if (answer.decision !== 'allow') {
        cut(live, { reason: 'denied', refusal: DENIED, outcome: answer })
      } else {
        live.failingSinceMs = null
        live.held = held
        const { recheckMs, onCredentialExpiry } = route.stream ?? DEFAULT_RULES
        live.nextCheckMs = nextCheck(live, clock.nowMs(), recheckMs, onCredentialExpiry, answer)
      }
    }
    try {
      const { identity, bound } = live
      const { request } = live.accepted
      const answer = stages.decide({ route, identity, bound, request, signal: () => controller.signal })
      if (!(answer instanceof Promise)) return settle(answer)
      live.checking = controller
      answer.then(settle, (bug: unknown) => {
        log.error({ stack: bug instanceof Error ? bug.stack : String(bug) }, 'internal error')
        settle(BROKEN)
      })
    } catch (bug) {
      log.error({ stack: bug instanceof Error ? bug.stack : String(bug) }, 'internal error')
      settle(BROKEN)
    }
  }

const DENIED = refuse('decide', 'denied', 'the policy says no, when it was asked again')
const BROKEN = refuse('decide', 'internal', 'deciding again broke; the stack is in the log')
const EXPIRED_REFUSAL = refuse('authenticate', 'unauthenticated', 'the credential has expired')
const EXPIRED: Cut = { reason: 'credential_expired', refusal: EXPIRED_REFUSAL, outcome: EXPIRED_REFUSAL }
const OVER_REFUSAL = refuse('decide', 'denied', 'its task has lasted too long')
const TASK_OVER: Cut = { reason: 'task_over', refusal: OVER_REFUSAL, outcome: OVER_REFUSAL }
const CHANGED_REFUSAL = refuse('accept', 'no_route', 'the route is gone, or is no longer public')
const ROUTE_CHANGED: Cut = { reason: 'route_changed', refusal: CHANGED_REFUSAL, outcome: CHANGED_REFUSAL }

const revoked = (why: string): Cut => {
  const refusal = refuse('decide', 'denied', why)
  return { reason: 'revoked', refusal, outcome: refusal }
}
