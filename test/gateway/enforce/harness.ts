import { connect, type Socket } from 'node:net'
import { type Clock, systemClock } from '../../../src/core/clock.ts'
import type { Bound, Decision } from '../../../src/core/decision.ts'
import type { Exchange } from '../../../src/core/exchange.ts'
import type { Identity } from '../../../src/core/identity.ts'
import type { Log } from '../../../src/core/log.ts'
import { type HeldRecord, RECORDED } from '../../../src/core/record-entry.ts'
import type { Accepted } from '../../../src/core/request.ts'
import type { LimitsConfig } from '../../../src/gateway/accept/config.ts'
import { createListener } from '../../../src/gateway/accept/listener.ts'
import { prepareAssertion } from '../../../src/gateway/enforce/assertion-key.ts'
import type { UpstreamConfig } from '../../../src/gateway/enforce/config.ts'
import { createEnforce, type EnforceOptions } from '../../../src/gateway/enforce/enforce.ts'
import { SYSTEM_TRUST, type UpstreamTls } from '../../../src/gateway/enforce/upstream-tls.ts'
import { createUpstream, type OwnedUpstream } from '../../../src/gateway/enforce/upstreams.ts'
import type { Passage } from '../../../src/gateway/pipeline.ts'

export const DECISION_ID = '01930000-0000-7000-8000-000000000001'

export const UPSTREAM: UpstreamConfig = {
  url: 'http://127.0.0.1:1',
  host: 'preserve',
  forwardCredential: false,
  connectTimeout: 2000,
  headersTimeout: 30_000,
  stallTimeout: 60_000,
  keepAliveTimeout: 4000,
  breaker: { failures: 3, trialEvery: 2000 },
  maxHeaderBytes: 65_536,
}

export const ALICE: Identity = {
  subject: { type: 'User', id: 'alice' },
  credential: { type: 'jwt', authenticator: 'staff', id: 'c1', digest: 'd1' },
  claims: {},
}

export const ALLOW: Decision = {
  decision: 'allow',
  reasons: ['owner-read'],
  errors: [],
  source: 'engine',
  policyVersion: 'sha256:p',
}

const LIMITS: LimitsConfig = {
  headerBytes: 16_384,
  bodyBytes: 1_048_576,
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 75_000,
  bodyMinRate: 100,
  stallTimeout: 60_000,
  connectionsPerAddress: 1000,
  connections: 100,
}

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

export interface PassageChanges {
  readonly identity?: Identity | null
  readonly bound?: Partial<Bound>
  readonly decision?: Decision
  readonly upstream?: string
  readonly routeName?: string
  readonly request?: Partial<Accepted['request']>
  readonly record?: HeldRecord
}

/** A passage for an exchange as the stages before would make it, with nothing checked. */
export const passageOf = (exchange: Exchange, changes: PassageChanges = {}): Passage => {
  const { head } = exchange
  const names = head.headers.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase())
  const authority = head.headers[2 * names.indexOf('host') + 1] ?? ''
  const [path = '', query] = head.target.split('?', 2)
  return {
    exchange,
    accepted: {
      request: {
        id: DECISION_ID,
        method: head.method,
        host: authority.replace(/:\d+$/, ''),
        path,
        ip: '192.0.2.7',
        receivedAtMs: 0,
        scheme: 'http',
        authority,
        query: query === undefined ? '' : `?${query}`,
        target: head.target,
        originalTarget: head.target,
        headers: head.headers,
        names,
        tls: false,
        remoteAddress: head.remoteAddress,
        ...changes.request,
      },
      route: {
        index: 0,
        name: changes.routeName ?? 'read-account',
        owner: 'payments',
        access: 'protected',
        mode: 'enforce',
        authenticate: ['staff'],
        engine: 'bank',
        upstream: changes.upstream ?? 'core',
      },
      path: {},
    },
    identity: changes.identity === undefined ? ALICE : changes.identity,
    bound: {
      accessRequests: [
        {
          subject: { type: 'User', id: 'alice' },
          action: { name: 'read' },
          resource: { type: 'Account', id: '42' },
          context: {},
        },
      ],
      batch: false,
      cacheable: true,
      target: head.target,
      headers: [],
      inputs: {},
      body: null,
      ...changes.bound,
    },
    decision: changes.decision ?? ALLOW,
    decisionId: DECISION_ID,
    record: changes.record ?? RECORDED,
  }
}

export interface Gateway {
  readonly port: number
  readonly upstreamStatus: OwnedUpstream['status']
  readonly closeUpstream: OwnedUpstream['close']
  /** What `forward` gave, one a request, in order of completion. */
  readonly outcomes: readonly string[]
  /** Resolves when `forward` has given as many outcomes. */
  readonly settled: (count: number) => Promise<void>
  readonly pauses: () => number
  /** Closes the listener, giving what is open this long. */
  readonly drain: (timeoutMs: number) => Promise<void>
  readonly close: () => Promise<void>
}

export interface GatewayOptions {
  readonly limits?: Partial<LimitsConfig>
  readonly upstream?: Partial<UpstreamConfig>
  readonly upstreamTls?: UpstreamTls
  readonly credentials?: NonNullable<OwnedUpstream['credentials']>
  readonly changes?: PassageChanges | ((exchange: Exchange) => PassageChanges)
  readonly enforce?: Partial<
    Pick<EnforceOptions, 'carriers' | 'controlledHeaders' | 'decidedHeaders' | 'log'>
  >
  readonly clock?: Clock
}

/** Transport and enforce stage alone: every request is allowed, as `changes` says. */
export const startGateway = async (url: string, options: GatewayOptions = {}): Promise<Gateway> => {
  const { upstream = {}, changes = {}, clock = systemClock } = options
  const outcomes: string[] = []
  const waiting: { readonly count: number; readonly resolve: () => void }[] = []
  const settle = (outcome: string): void => {
    outcomes.push(outcome)
    for (const { count, resolve } of waiting) if (outcomes.length >= count) resolve()
  }
  const config = { ...UPSTREAM, url, ...upstream }
  const { log = silent } = options.enforce ?? {}
  const core = createUpstream('core', config, {
    clock,
    log,
    tls: options.upstreamTls ?? SYSTEM_TRUST,
    ...(options.credentials && { credentials: options.credentials }),
  })
  const enforce = createEnforce({
    upstreams: new Map([['core', core]]),
    assertion: prepareAssertion({ ttl: 60_000, issuer: 'sallyport' }, noPreparation)(),
    carriers: [],
    controlledHeaders: new Set(),
    clock,
    log: silent,
    ...options.enforce,
  })
  let pauses = 0
  const handle = (exchange: Exchange): void => {
    const passage = passageOf(exchange, typeof changes === 'function' ? changes(exchange) : changes)
    Promise.resolve(enforce.forward(passage)).then(
      (outcome) => {
        settle(outcome === true ? 'done' : outcome.refusal)
        if (outcome !== true) enforce.refuse(exchange, outcome, DECISION_ID)
      },
      (error: unknown) => {
        settle(`threw ${String(error)}`)
        exchange.reply.abort()
      },
    )
  }
  const counted = (exchange: Exchange): Exchange => {
    const write = (chunk: Buffer): boolean => {
      const goOn = exchange.reply.write(chunk)
      if (!goOn) pauses += 1
      return goOn
    }
    // With the very reply behind it, whose functions look at its own fields.
    return { ...exchange, reply: Object.assign(Object.create(exchange.reply), { write }) }
  }
  const listener = createListener({
    config: { bind: '127.0.0.1:0' },
    limits: { ...LIMITS, ...options.limits },
    clock: systemClock,
    log: silent,
    onExchange: (exchange) => handle(counted(exchange)),
    onParserRefusal: (exchange, refused) => enforce.refuse(exchange, refused, DECISION_ID),
  })
  const address = await listener.listen()
  return {
    port: Number(address.split(':')[1]),
    upstreamStatus: core.status,
    closeUpstream: core.close,
    outcomes,
    settled: (count) =>
      outcomes.length >= count
        ? Promise.resolve()
        : new Promise((resolve) => waiting.push({ count, resolve })),
    pauses: () => pauses,
    drain: listener.close,
    close: async () => {
      await listener.close(0)
      await core.close(AbortSignal.abort())
    },
  }
}

const unexpected = (): never => {
  throw new Error('nothing is read or reported here')
}

const noPreparation = { readFile: unexpected, report: unexpected }

/** A connection on which bytes are written and read as they are. */
export interface RawClient {
  readonly socket: Socket
  /** Text is Latin-1: one character, one byte. */
  readonly write: (bytes: string | Buffer) => void
  /** Everything that has arrived; Latin-1 text. */
  readonly received: () => string
  /** Resolves when `text` has arrived; rejects when the connection ends before. */
  readonly until: (text: string) => Promise<string>
  /** Resolves with everything when the connection ends, and how. */
  readonly ended: Promise<{ readonly text: string; readonly how: 'end' | 'reset' }>
}

export const connectRaw = (port: number): RawClient => {
  const socket = connect(port, '127.0.0.1')
  socket.setNoDelay(true)
  let text = ''
  let how: 'end' | 'reset' = 'reset'
  let over = false
  const waiting = new Set<() => void>()
  const tell = (): void => {
    for (const check of waiting) check()
  }
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
    tell()
  })
  socket.on('end', () => {
    how = 'end'
  })
  socket.on('error', () => undefined)
  const ended = new Promise<{ text: string; how: 'end' | 'reset' }>((resolve) => {
    socket.on('close', () => {
      over = true
      tell()
      resolve({ text, how })
    })
  })
  return {
    socket,
    write: (bytes) => {
      socket.write(bytes, 'latin1')
    },
    received: () => text,
    until: (wanted) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (text.includes(wanted)) resolve(text)
          else if (over) reject(new Error(`the connection ended before ${JSON.stringify(wanted)}: ${text}`))
          else return
          waiting.delete(check)
        }
        waiting.add(check)
        check()
      }),
    ended,
  }
}

/** Sends one request with `Connection: close` in it and gives the whole answer. */
export const exchangeRaw = async (port: number, bytes: string | Buffer): Promise<string> => {
  const client = connectRaw(port)
  client.write(bytes)
  return (await client.ended).text
}
