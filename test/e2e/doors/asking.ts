import type { LoggedRecord, TestGateway } from '../../support/gateway.ts'
import { type RawResponse, rawRequest } from '../../support/raw-http.ts'

/** A request that a proxy asks about, and how it describes it. */
export interface Asked {
  readonly method?: string
  readonly proto?: string
  readonly host?: string
  readonly uri?: string
  readonly for?: string
  /** The caller's own header lines, which the proxy passes on. */
  readonly headers?: readonly string[]
  /** Whose token the caller shows; null: none. */
  readonly token?: string | null
}

/** The port of a listener, by its place in the configuration. */
export const portOf = ({ gateway }: TestGateway, listener: number): number =>
  Number((gateway.addresses[listener] ?? '').split(':').at(-1))

/** The question as Traefik, Caddy and nginx (as documented) put it. */
export const questionOf = (asked: Asked, host: string): string => {
  const { method = 'GET', proto = 'https', uri = '/accounts/7', token = null, headers = [] } = asked
  return `${[
    'GET /decide HTTP/1.1',
    'Host: sallyport.internal',
    `X-Forwarded-Method: ${method}`,
    `X-Forwarded-Proto: ${proto}`,
    `X-Forwarded-Host: ${asked.host ?? host}`,
    `X-Forwarded-Uri: ${uri}`,
    `X-Forwarded-For: ${asked.for ?? '203.0.113.9'}`,
    ...(token === null ? [] : [`Authorization: Bearer ${token}`]),
    ...headers,
  ].join('\r\n')}\r\n\r\n`
}

export interface Told {
  readonly status: number
  readonly response: RawResponse
  readonly record: LoggedRecord
}

/** Asks, and finds what was recorded of it. */
export const ask = async (gateway: TestGateway, port: number, question: string): Promise<Told> => {
  const response = await rawRequest(port, question)
  const [id] = response.header('sallyport-decision-id')
  const record = gateway.records().find((each) => each.id === id)
  if (record === undefined) throw new Error(`an answer ${response.status} without a record`)
  return { status: response.status, response, record }
}
