import { createHash } from 'node:crypto'
import type { AccessRequest } from '../core/access-request.ts'
import { AUTHZEN_PATHS } from '../core/authzen-paths.ts'
import { type AuthzenItem, type AuthzenQuestion, readAuthzenQuestion } from '../core/authzen-question.ts'
import type { Clock } from '../core/clock.ts'
import type { Bound, Decision } from '../core/decision.ts'
import type { Exchange } from '../core/exchange.ts'
import { headerValues } from '../core/headers.ts'
import type { Identity } from '../core/identity.ts'
import type { JsonObject } from '../core/json.ts'
import type { Log } from '../core/log.ts'
import { isRefusal, REFUSALS, type Refusal, refuse, statusOf } from '../core/refusals.ts'
import type { Accepted, RequestFacts } from '../core/request.ts'
import { randomUuidV7 } from '../core/uuid.ts'
import type { Pipeline, Stages } from './pipeline.ts'

/** One question of a policy enforcement point, on its way. */
interface Asking {
  readonly stages: Stages
  readonly exchange: Exchange
  readonly accepted: Accepted
  /** Of the enforcement point; the subjects are what it asks about. */
  readonly identity: Identity
}

interface Settled {
  readonly bound: Bound | null
  readonly outcome: Decision | Refusal
}

const MOST_ATTEMPTS = 3

/**
 * Answers AuthZEN questions by the stages that serve requests: each is decided by a grant or the engine, and recorded by
 * itself, before any answer goes out.
 *
 * What was asked while the configuration, or what is revoked, changed is decided again.
 *
 * @see https://openid.net/specs/authorization-api-1_0.html
 */
export const createPdp = (deps: {
  readonly current: () => Stages
  readonly clock: Clock
  readonly log: Log
}): Pick<Pipeline, 'handle'> => {
  const { current, clock, log } = deps

  const serve = async (exchange: Exchange): Promise<void> => {
    let body: Buffer | null = null
    for (let attempt = 1; ; attempt += 1) {
      const stages = current()
      const beganUs = clock.monotonicUs()
      stages.usage?.began()
      try {
        const known = await identify(stages, exchange)
        if ('refusal' in known) return stop(stages, exchange, known, known.about)
        if (known.accepted.route.access === 'public') return answerMetadata(known, stages)
        const about = { accepted: known.accepted, identity: known.identity }
        const read: Buffer | Refusal = body ?? (await wholeBody(known))
        if (!Buffer.isBuffer(read)) return stop(stages, exchange, read, about)
        body = read
        const question = readAuthzenQuestion(body, known.accepted.request.path === AUTHZEN_PATHS.evaluations)
        if ('mistake' in question) return stop(stages, exchange, badQuestion(question.mistake), about)
        const held = stages.revocations?.held() ?? ''
        const settled = await settle(known, question)
        if (!isOutdated(known, settled, held)) return answer(known, question, settled)
        if (attempt === MOST_ATTEMPTS) return stop(stages, exchange, UNSETTLED, about)
      } finally {
        stages.usage?.ended(clock.monotonicUs() - beganUs)
      }
    }
  }

  /** Credentials that are refused are those of who asks: whoever is asked about has shown none here. */
  const isOutdated = ({ stages, identity }: Asking, settled: readonly Settled[], held: string): boolean => {
    const { revocations } = stages
    if (current() !== stages) return true
    if (revocations === undefined) return false
    return settled.some(
      ({ bound }) =>
        bound !== null &&
        (revocations.concern(identity, bound, held) ||
          revocations.voids(identityOf(identity, bound), bound, held)),
    )
  }

  const answerMetadata = ({ stages, exchange, accepted }: Asking, by: Stages): void => {
    const id = accepted.request.id
    const entry = {
      request: accepted.request,
      route: accepted.route,
      identity: null,
      bound: null,
      latencyUs: {},
    }
    const recorded = by.record({ id, ...entry, outcome: PUBLISHED })
    if (typeof recorded === 'object') return unrecorded(stages, exchange, recorded)
    const { scheme, authority } = accepted.request
    const origin = `${scheme}://${authority}`
    sendJson(exchange, [id], {
      policy_decision_point: origin,
      access_evaluation_endpoint: origin + AUTHZEN_PATHS.evaluation,
      access_evaluations_endpoint: origin + AUTHZEN_PATHS.evaluations,
    })
  }

  /** Records every question, then tells all answers. */
  const answer = (asking: Asking, question: AuthzenQuestion, settled: readonly Settled[]): void => {
    const { stages, exchange, accepted, identity } = asking
    const { request, route } = accepted
    const [only] = settled
    if (question.kind === 'single' && only !== undefined && isRefusal(only.outcome)) {
      return stop(stages, exchange, only.outcome, { accepted, identity, bound: only.bound })
    }
    const ids: string[] = []
    for (const { bound, outcome } of settled) {
      const id = ids.length === 0 ? request.id : randomUuidV7(clock.nowMs())
      const by = bound === null ? identity : identityOf(identity, bound)
      const recorded = stages.record({ id, outcome, request, route, identity: by, bound, latencyUs: {} })
      if (typeof recorded === 'object') return unrecorded(stages, exchange, recorded)
      ids.push(id)
    }
    const answers = settled.map(({ outcome }) => answerOf(outcome))
    sendJson(exchange, ids, question.kind === 'single' ? (answers[0] ?? DENIED) : { evaluations: answers })
  }

  const stop = (stages: Stages, exchange: Exchange, refusal: Refusal, about: About): void => {
    const request = 'accepted' in about ? about.accepted.request : about.request
    const route = 'accepted' in about ? about.accepted.route : null
    const identity = ('identity' in about ? about.identity : null) ?? null
    const bound = ('bound' in about ? about.bound : null) ?? null
    const by = bound === null || identity === null ? identity : identityOf(identity, bound)
    const { id } = request
    const recorded = stages.record({
      id,
      outcome: refusal,
      request,
      route,
      identity: by,
      bound,
      latencyUs: {},
    })
    if (typeof recorded === 'object') return unrecorded(stages, exchange, recorded)
    stages.refuse(exchange, echoing(refusal, exchange), recorded === true ? id : null)
  }

  const unrecorded = (stages: Stages, exchange: Exchange, refusal: Refusal): void => {
    log.error({ code: refusal.refusal, detail: refusal.detail }, 'not recorded')
    stages.refuse(exchange, echoing(refusal, exchange), null)
  }

  return {
    handle: (exchange) => {
      serve(exchange).catch((bug: unknown) => {
        log.error({ stack: bug instanceof Error ? bug.stack : String(bug) }, 'internal error')
        const refusal = refuse('decide', 'internal', 'an internal error; its stack is in the log')
        if (exchange.reply.headSent()) exchange.reply.abort()
        else current().refuse(exchange, refusal, null)
      })
    },
  }
}

/** How far a question has come that is refused. */
type About =
  | { readonly request: RequestFacts }
  | { readonly accepted: Accepted; readonly identity?: Identity | null; readonly bound?: Bound | null }

const identify = async (
  stages: Stages,
  exchange: Exchange,
): Promise<Asking | (Refusal & { readonly about: About })> => {
  const accepted = stages.accept(exchange.head)
  if (isRefusal(accepted)) return { ...accepted, about: { request: accepted.request } }
  const { request, route } = accepted
  if (route.access === 'public' || route.authenticate.length === 0) {
    return { stages, exchange, accepted, identity: peerOf(exchange) }
  }
  const identity = await stages.authenticate(request, route, exchange.signal)
  return isRefusal(identity) ? { ...identity, about: { accepted } } : { stages, exchange, accepted, identity }
}

/** An enforcement point that is trusted for where it is, or for its certificate. */
const peerOf = ({ head }: Exchange): Identity => {
  const id = head.peerCertificate?.thumbprint ?? head.remoteAddress
  const digest = createHash('sha256').update(`peer ${id}`).digest('hex')
  return {
    subject: { type: 'Peer', id },
    credential: { type: 'peer', authenticator: '', id, digest },
    claims: {},
  }
}

/** The subject is the one that is asked about; the credential stays that of whoever asks. */
const identityOf = ({ credential }: Identity, { accessRequests }: Bound): Identity => {
  const [first] = accessRequests
  if (first === undefined) throw new Error('a question without a subject')
  return { subject: first.subject, credential, claims: {} }
}

const JSON_TYPE = /^application\/json[\t ]*(?:;|$)/i

const wholeBody = async ({ stages, exchange }: Asking): Promise<Buffer | Refusal> => {
  const [type, ...others] = headerValues(exchange.head.headers, 'content-type')
  if (type === undefined || others.length > 0 || !JSON_TYPE.test(type))
    return badQuestion('the body is not JSON')
  return stages.readBody(exchange)
}

const badQuestion = (mistake: string): Refusal =>
  refuse('bind', 'bad_request', mistake, { publicDetail: `${mistake}.` })

/** Decides what is asked, all at once, or one after the other up to the first answer that ends it. */
const settle = async (asking: Asking, question: AuthzenQuestion): Promise<readonly Settled[]> => {
  if (question.kind === 'single') return [await settleOne(asking, question.request)]
  const { items, semantic } = question
  if (semantic === 'execute_all') return Promise.all(items.map((item) => settleOne(asking, item)))
  const settled: Settled[] = []
  for (const item of items) {
    const one = await settleOne(asking, item)
    settled.push(one)
    if (isAllow(one.outcome) === (semantic === 'permit_on_first_permit')) break
  }
  return settled
}

const isAllow = (outcome: Decision | Refusal): boolean => !isRefusal(outcome) && outcome.decision === 'allow'

const settleOne = async (
  { stages, exchange, accepted, identity }: Asking,
  item: AuthzenItem,
): Promise<Settled> => {
  if ('mistake' in item) return { bound: null, outcome: badQuestion(item.mistake) }
  const bound = boundOf(item)
  const { route } = accepted
  const question = { route, identity: identityOf(identity, bound), bound, signal: exchange.signal }
  return { bound, outcome: await stages.decide(question) }
}

const boundOf = (request: AccessRequest): Bound => ({
  accessRequests: [request],
  batch: false,
  cacheable: true,
  target: '',
  headers: [],
  inputs: {},
  body: null,
})

const UNSETTLED = refuse('decide', 'engine_unavailable', 'policies or revocations kept changing meanwhile')

const DENIED: JsonObject = { decision: false }

const PUBLISHED: Decision = Object.freeze({
  decision: 'allow',
  source: 'route',
  policyVersion: 'none',
  reasons: Object.freeze([]),
  errors: Object.freeze([]),
})

/** A question of several that could not be answered is denied, and says so. */
const answerOf = (outcome: Decision | Refusal): JsonObject => {
  if (!isRefusal(outcome)) return { decision: outcome.decision === 'allow' }
  const { title } = REFUSALS[outcome.refusal]
  const message = outcome.publicDetail ?? title
  return { decision: false, context: { error: { status: statusOf(outcome), message } } }
}

/** The request's own id, for whoever asked to find the answer by; several are none. */
const requestId = ({ head }: Exchange): readonly string[] => {
  const [id, ...others] = headerValues(head.headers, 'x-request-id')
  return id === undefined || others.length > 0 ? [] : ['X-Request-ID', id]
}

const echoing = (refusal: Refusal, exchange: Exchange): Refusal => ({
  ...refusal,
  headers: [...(refusal.headers ?? []), ...requestId(exchange)],
})

const sendJson = (exchange: Exchange, ids: readonly string[], value: JsonObject): void => {
  const body = Buffer.from(JSON.stringify(value))
  exchange.reply.head(200, '', [
    ...['Content-Type', 'application/json', 'Content-Length', String(body.length)],
    ...['Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff'],
    ...['Sallyport-Decision-Id', ids.join(', ')],
    ...requestId(exchange),
  ])
  exchange.reply.end(body)
}
