import assert from 'node:assert/strict'
import type { AccessRequest } from '../../../src/core/access-request.ts'
import type { Bound, Decision } from '../../../src/core/decision.ts'
import type { Credential } from '../../../src/core/identity.ts'
import type { Log } from '../../../src/core/log.ts'
import { isRefusal, type Refusal } from '../../../src/core/refusals.ts'
import type { Route } from '../../../src/core/route.ts'
import type { RouteGrantConfig } from '../../../src/gateway/decide/config.ts'
import { createDecide } from '../../../src/gateway/decide/decide.ts'
import type { Engine, EngineAnswer, EngineAnswers } from '../../../src/gateway/decide/engines/engine.ts'
import { createMemoryStore } from '../../../src/gateway/decide/grants/memory.ts'
import type { GrantStore } from '../../../src/gateway/decide/grants/store.ts'
import type { RevocationFeed } from '../../../src/gateway/decide/revocations/feed.ts'
import { createLocalFeed } from '../../../src/gateway/decide/revocations/local-feed.ts'
import type { Question } from '../../../src/gateway/pipeline.ts'
import { type ManualClock, manualClock, START_MS } from './manual-clock.ts'

export const START_S = START_MS / 1000

export const allow: EngineAnswer = { decision: 'allow', reasons: ['owner'], errors: [] }
export const deny: EngineAnswer = { decision: 'deny', reasons: [], errors: [] }

const route: Route = {
  index: 0,
  name: 'read-account',
  owner: 'payments',
  access: 'protected',
  mode: 'enforce',
  authenticate: ['staff'],
  engine: 'bank',
  upstream: 'core',
}
const credential: Credential = { type: 'jwt', authenticator: 'staff', id: 'j', digest: 'd' }
const request: AccessRequest = {
  subject: { type: 'User', id: 'alice' },
  action: { name: 'read' },
  resource: { type: 'Account', id: '42' },
  context: {},
}
const bound: Bound = {
  accessRequests: [request],
  batch: false,
  cacheable: true,
  target: '/accounts/42',
  headers: [],
  inputs: {},
  body: null,
}

/** What a test changes of the one question that all ask. */
export interface Change {
  readonly route?: Partial<Route>
  readonly bound?: Partial<Bound>
  readonly credential?: Partial<Credential>
  readonly signal?: AbortSignal
  readonly id?: string
}

export const questionOf = (change: Change = {}): Question => ({
  route: { ...route, ...change.route },
  identity: { subject: request.subject, credential: { ...credential, ...change.credential }, claims: {} },
  bound: {
    ...bound,
    ...(change.id === undefined
      ? {}
      : { accessRequests: [{ ...request, resource: { type: 'Account', id: change.id } }] }),
    ...change.bound,
  },
  signal: () => change.signal ?? new AbortController().signal,
})

export const accountQuestions = (...ids: readonly string[]): readonly AccessRequest[] =>
  ids.map((id) => ({ ...request, resource: { type: 'Account', id } }))

type Evaluate = (
  requests: readonly AccessRequest[],
  signal: () => AbortSignal,
) => EngineAnswers | Promise<EngineAnswers>

export interface World {
  readonly clock: ManualClock
  readonly store: GrantStore
  readonly feed: RevocationFeed
  /** How often the engine was asked. */
  readonly asked: () => number
  readonly decide: ReturnType<typeof createDecide>
  /** A decision that is there at once; a promise or a refusal fails the test. */
  readonly now: (change?: Change) => Decision
}

export interface WorldOptions {
  readonly evaluate?: Evaluate
  readonly grant?: RouteGrantConfig | null
  readonly engine?: Partial<Engine>
  readonly engineTimeoutMs?: number
  readonly store?: (clock: ManualClock, feed: RevocationFeed) => GrantStore
  readonly feed?: RevocationFeed
}

const ignore = (): void => undefined
const NO_LOG: Log = { debug: ignore, info: ignore, warn: ignore, error: ignore }

/** The feed of one process, without a file. */
export const localFeed = (
  clock: ManualClock,
  more: Partial<Parameters<typeof createLocalFeed>[0]> = {},
): RevocationFeed =>
  createLocalFeed({
    clock,
    log: NO_LOG,
    markLifeMs: 7 * 24 * 3_600_000,
    maxMarks: 100,
    file: null,
    marks: [],
    onPublished: ignore,
    ...more,
  })

export const settled = (value: Decision | Refusal | Promise<Decision | Refusal>): Decision => {
  assert.ok(!(value instanceof Promise), 'answered later')
  assert.ok(!isRefusal(value), 'refused')
  return value
}

export const world = (options: WorldOptions = {}): World => {
  const clock = manualClock()
  const feed = options.feed ?? localFeed(clock)
  const store =
    options.store?.(clock, feed) ??
    createMemoryStore({ clock, maxEntries: 100, maxBytes: 1_000_000, marks: feed })
  const evaluate = options.evaluate ?? (() => [allow])
  let asked = 0
  const engine: Engine = {
    name: 'bank',
    type: 'fake',
    policyVersion: () => 'v1',
    evaluate: (requests, signal) => {
      asked += 1
      return evaluate(requests, signal)
    },
    ...options.engine,
  }
  const { grant = { ttlMs: 15_000, denyTtlMs: 0, quantiseMs: null } } = options
  const decide = createDecide({
    engines: new Map([['bank', engine]]),
    store,
    feed,
    routes: [grant],
    mappingHashes: ['m'],
    clock,
    ...(options.engineTimeoutMs === undefined ? {} : { engineTimeoutMs: options.engineTimeoutMs }),
  })
  return {
    clock,
    store,
    feed,
    asked: () => asked,
    decide,
    now: (change) => settled(decide(questionOf(change))),
  }
}
