import type { AccessRequest } from '../../../src/core/access-request.ts'
import type { Bound } from '../../../src/core/decision.ts'
import type { Identity } from '../../../src/core/identity.ts'
import type { Problem } from '../../../src/core/problem.ts'
import { isRefusal, type Refusal } from '../../../src/core/refusals.ts'
import type { Accepted } from '../../../src/core/request.ts'
import { createBind } from '../../../src/gateway/bind/bind.ts'
import { compilePlan, type MappingPlan, type MappingSource } from '../../../src/gateway/bind/plan.ts'

export const NOW_MS = 1_800_000_000_123

/** A mapping with everything that a test does not name. */
export const sourceOf = (source: Partial<MappingSource>): MappingSource => ({
  access: 'protected',
  evaluation:
    source.evaluations === undefined && source.access !== 'public'
      ? { action: 'read', resource: { type: 'Account', id: '1' } }
      : undefined,
  evaluations: undefined,
  headers: undefined,
  rewrite: undefined,
  captures: ['accountId'],
  secrets: new Map(),
  quantiseMs: null,
  ...source,
})

export const problemsOf = (source: Partial<MappingSource>): readonly Problem[] => {
  const problems: Problem[] = []
  compilePlan(sourceOf(source), (problem) => problems.push(problem))
  return problems
}

/** @throws when there is anything wrong with the mapping. */
export const planOf = (source: Partial<MappingSource>): MappingPlan =>
  compilePlan(sourceOf(source), (problem) => {
    throw new Error(`${problem.path.join('.')}: ${problem.message}`)
  })

/** A request in the words of a test. */
export interface Sent {
  readonly method?: string
  readonly path?: string
  readonly query?: string
  /** Flat name, value pairs. */
  readonly headers?: readonly string[]
  readonly captures?: Readonly<Record<string, string>>
  readonly body?: string | Buffer
  readonly type?: string
  readonly claims?: Identity['claims']
  readonly identity?: Partial<Identity> | null
  readonly nowMs?: number
}

export const acceptedOf = (sent: Sent): Accepted => {
  const { path = '/accounts/42', query = '', headers = [], body, type = 'application/json' } = sent
  const pairs = [...headers, ...(body === undefined ? [] : ['Content-Type', type])]
  return {
    request: {
      id: '01935f6e-0000-7000-8000-000000000000',
      method: sent.method ?? 'GET',
      host: 'bank.example.com',
      path,
      ip: '192.0.2.7',
      receivedAtMs: sent.nowMs ?? NOW_MS,
      scheme: 'https',
      authority: 'bank.example.com',
      query,
      target: path + query,
      originalTarget: path + query,
      headers: pairs,
      names: pairs.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase()),
      tls: true,
      remoteAddress: '192.0.2.7',
    },
    route: {
      index: 0,
      name: 'read-account',
      owner: 'payments',
      access: 'protected',
      mode: 'enforce',
      authenticate: ['staff'],
      engine: 'bank',
      upstream: 'core',
    },
    path: sent.captures ?? { accountId: '42' },
  }
}

export const identityOf = (sent: Sent): Identity | null =>
  sent.identity === null
    ? null
    : {
        subject: { type: 'User', id: 'alice' },
        credential: {
          type: 'jwt',
          authenticator: 'staff',
          id: 'jti-1',
          issuer: 'https://idp.example.com',
          issuedAt: Math.floor(NOW_MS / 1000) - 90,
          digest: 'd',
        },
        claims: sent.claims ?? { sub: 'alice' },
        ...sent.identity,
      }

/** Takes a request through a mapping. */
export const bindOne = (plan: MappingPlan, sent: Sent = {}): Bound | Refusal => {
  const bind = createBind({
    plans: [plan],
    clock: { nowMs: () => sent.nowMs ?? NOW_MS, monotonicUs: () => 0 },
  })
  const body = sent.body === undefined ? null : Buffer.from(sent.body)
  return bind(acceptedOf(sent), identityOf(sent), body)
}

/** @throws when it was refused. */
export const boundOf = (plan: MappingPlan, sent: Sent = {}): Bound => {
  const bound = bindOne(plan, sent)
  if (isRefusal(bound)) throw new Error(`refused: ${bound.refusal}: ${bound.detail}`)
  return bound
}

/** @throws when it was not refused. */
export const refusalOf = (plan: MappingPlan, sent: Sent = {}): Refusal => {
  const bound = bindOne(plan, sent)
  if (!isRefusal(bound)) throw new Error(`bound: ${JSON.stringify(bound.accessRequests)}`)
  return bound
}

/** The only access request, as plain JSON. */
export const askedOf = (plan: MappingPlan, sent: Sent = {}): AccessRequest => {
  const [first, second] = boundOf(plan, sent).accessRequests
  if (first === undefined || second !== undefined) throw new Error('expected one access request')
  return plain(first)
}

/** Without prototypes, so that deep equality compares content alone. */
export const plain = <T>(value: T): T => JSON.parse(JSON.stringify(value))

/** A mapping whose context has one field, `value`. */
export const contextPlan = (value: string, more: Partial<MappingSource> = {}): MappingPlan =>
  planOf({
    evaluation: { action: 'read', resource: { type: 'Account', id: '1' }, context: { value } },
    ...more,
  })

/** What `contextPlan`'s expression gives, or undefined when it is left out. */
export const mapped = (expression: string, sent: Sent = {}, more: Partial<MappingSource> = {}): unknown =>
  askedOf(contextPlan(expression, more), sent).context.value

/** Code of the refusal of `contextPlan`. */
export const codeOf = (expression: string, sent: Sent = {}, more: Partial<MappingSource> = {}): string =>
  refusalOf(contextPlan(expression, more), sent).refusal
