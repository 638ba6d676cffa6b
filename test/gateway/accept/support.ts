import { type Clock, systemClock } from '../../../src/core/clock.ts'
import type { Exchange } from '../../../src/core/exchange.ts'
import type { Log } from '../../../src/core/log.ts'
import { REFUSALS } from '../../../src/core/refusals.ts'
import type { LimitsConfig } from '../../../src/gateway/accept/config.ts'
import { createListener, type Listener } from '../../../src/gateway/accept/listener.ts'
import { prepareTls } from '../../../src/gateway/accept/prepare-tls.ts'
import type { TlsMaterial } from '../../../src/gateway/accept/tls.ts'
import type { TlsConfig } from '../../../src/gateway/accept/tls-config.ts'
import type { RefusedRequest } from '../../../src/gateway/pipeline.ts'

export const silentLog: Log = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
}

/** Stands still. */
export const fixedClock: Clock = { nowMs: () => Date.UTC(2026, 10, 24), monotonicUs: () => 0 }

export const LIMITS: LimitsConfig = {
  headerBytes: 16_384,
  bodyBytes: 1_048_576,
  headersTimeout: 10_000,
  requestTimeout: 60_000,
  keepAliveTimeout: 75_000,
  bodyMinRate: 100,
  stallTimeout: 60_000,
  connectionsPerAddress: 1000,
  connections: 1000,
}

export interface TestListener {
  readonly port: number
  readonly listener: Listener
  /** Those that were handed out as requests. */
  readonly exchanges: readonly Exchange[]
  readonly refused: readonly RefusedRequest[]
}

/** Answers `200 ok` at once. */
export const answerOk = ({ reply }: Exchange): void => {
  reply.head(200, 'OK', ['Content-Length', '2'])
  reply.end('ok')
}

/** Reads the body and sends it back. */
export const echo = ({ body, reply }: Exchange): void => {
  const chunks: Buffer[] = []
  body.on('data', (chunk: Buffer) => chunks.push(chunk))
  body.on('end', () => {
    const whole = Buffer.concat(chunks)
    reply.head(200, 'OK', ['Content-Length', String(whole.length)])
    reply.end(whole)
  })
}

/** Answers as enforce would, with the code alone. */
export const answerRefused = ({ reply }: Exchange, refused: RefusedRequest): void => {
  const { status } = REFUSALS[refused.refusal]
  const body = refused.refusal
  reply.head(status, '', ['Content-Length', String(body.length), ...(refused.headers ?? [])])
  reply.end(body)
}

export const startListener = async (
  answer: (exchange: Exchange) => void = answerOk,
  limits: Partial<LimitsConfig> = {},
  tls: TlsMaterial | null = null,
): Promise<TestListener> => {
  const exchanges: Exchange[] = []
  const refused: RefusedRequest[] = []
  const listener = createListener({
    config: { bind: '127.0.0.1:0' },
    tls,
    limits: { ...LIMITS, ...limits },
    clock: { ...fixedClock, monotonicUs: systemClock.monotonicUs },
    log: silentLog,
    onExchange: (exchange) => {
      exchanges.push(exchange)
      answer(exchange)
    },
    onParserRefusal: (exchange, refusal) => {
      refused.push(refusal)
      answerRefused(exchange, refusal)
    },
  })
  const address = await listener.listen()
  return { port: Number(address.slice(address.lastIndexOf(':') + 1)), listener, exchanges, refused }
}

/** Material as the configuration would make it. Throws when something is wrong with it. */
export const materialOf = (
  files: Readonly<Record<string, string>>,
  config: Pick<TlsConfig, 'certFile' | 'keyFile'> & Partial<TlsConfig>,
): TlsMaterial => {
  const material = prepareTls({ certificates: [], ...config }, ['tls'], {
    clock: { ...fixedClock, nowMs: () => Date.now() },
    readFile: (path) => Buffer.from(files[path] ?? ''),
    report: ({ message, path }) => {
      throw new Error(`${path.join('.')}: ${message}`)
    },
  })
  if (material === null) throw new Error('nothing was reported, and nothing made')
  return material
}
