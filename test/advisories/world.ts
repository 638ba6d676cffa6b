import assert from 'node:assert/strict'
import { after, before } from 'node:test'
import { buildCity, type City, HOST, tokenOf } from '../e2e/city.ts'
import { type RawAnswer, type RawBackend, type RecordedRequest, startRawBackend } from '../support/backend.ts'
import { type LoggedRecord, startTestGateway, type TestGateway, type World } from '../support/gateway.ts'
import { type RawResponse, rawRequest, rawUntilClosed } from '../support/raw-http.ts'

/** What the advisories fight over, besides the city's own routes: something public, something for carol alone. */
const ROUTES = `defaults: { host: ${HOST}, upstream: core, engine: city, authenticate: [staff, browser, partners] }
routes:
  - { name: open, match: "GET /public/{*rest}", access: public }
  - name: admin
    match: "* /admin/{*rest}"
    evaluation: { action: administer, resource: { type: Panel, id: $path.rest } }
    headers: { X-Remote-User: $subject.id }
    grant: { ttl: 60s }
`

const POLICIES = `@id("carol-alone")
forbid (principal, action == Action::"administer", resource) unless { principal == User::"carol" };
`

export interface TownOptions {
  /** Entries for `routes:` of one more route map, with the defaults of the city. */
  readonly routes?: string
  /** Policies besides those of the city. */
  readonly policies?: string
  /** Lines of the gateway file that are added at its top level, or replace what is there. */
  readonly settings?: Readonly<Record<string, string>>
  readonly files?: Readonly<Record<string, string>>
  readonly answers?: RawAnswer
  /** The application answers before it has the body. */
  readonly early?: boolean
}

/** One request; the head is written as given, in Latin-1. */
export interface Ask {
  readonly method?: string
  readonly target?: string
  /** Default the city's; null: no Host field. */
  readonly host?: string | null
  /** Whose bearer token is sent; null: nobody's. Default alice. */
  readonly as?: string | null
  /** More header lines. */
  readonly headers?: readonly string[]
  /** With its Content-Length. */
  readonly body?: string
}

/** What came of one request, on all three sides. */
export interface Seen {
  readonly status: number
  /** Of the problem; null for what the application answered. */
  readonly code: string | null
  readonly response: RawResponse
  readonly record: LoggedRecord
  /** What the application got meanwhile. */
  readonly forwarded: readonly RecordedRequest[]
}

export interface Town {
  readonly ask: (asked: Ask) => Promise<Seen>
  /** Sends bytes as they are and reads one answer. */
  readonly send: (bytes: string | Buffer) => Promise<Seen>
  /** Sends bytes as they are and reads until the gateway closes. */
  readonly converse: (bytes: string | Buffer) => Promise<Conversation>
  /** The bytes of a request up to its body. */
  readonly head: (asked: Ask) => string
  /** The header line with a bearer token of staff; claims replace or add to those of alice. */
  readonly bearer: (claims: Readonly<Record<string, unknown>>) => Promise<string>
  readonly city: () => City
  readonly gateway: () => TestGateway
  readonly backend: () => RawBackend
  readonly logLines: readonly string[]
}

export interface Conversation {
  /** Without the informational ones. */
  readonly statuses: readonly number[]
  readonly forwarded: readonly RecordedRequest[]
  readonly records: readonly LoggedRecord[]
}

const layOutTown = async (options: TownOptions, upstream: string) => {
  const city = await buildCity({ upstream, settings: options.settings ?? {} })
  const world: World = {
    ...city.world,
    'config/routes/advisories.yaml': ROUTES + (options.routes ?? ''),
    'policies/advisories.cedar': POLICIES + (options.policies ?? ''),
    ...options.files,
  }
  return { city, world }
}

/** Such a gateway does not start, and says why in these words. */
export const assertNoStart = async (
  options: TownOptions & { readonly env?: Readonly<Record<string, string>> },
  ...says: readonly RegExp[]
): Promise<void> => {
  const { city, world } = await layOutTown(options, 'http://127.0.0.1:9')
  const started = await startTestGateway(world, { env: options.env ?? city.env }).catch(
    (error: Error) => error,
  )
  if (!(started instanceof Error)) {
    await started.close()
    assert.fail('it has started')
  }
  for (const pattern of says) assert.match(started.message, pattern)
}

interface RunningTown {
  readonly backend: RawBackend
  readonly city: City
  readonly gateway: TestGateway
}

const towns: RunningTown[] = []

// One hook for all towns: when one fails, the hooks behind it are not run, and what is open would hold up the process.
after(async () => {
  const seen = towns.map(({ backend, gateway }) => ({
    requests: backend.requests,
    records: gateway.records(),
  }))
  for (const { backend, gateway } of towns) {
    await gateway.close()
    await backend.close()
  }
  for (const { requests, records } of seen) assertEachAllowed(requests, records)
})

/**
 * One gateway before an application that keeps every byte, for all tests of a file.
 *
 * When they are through, every request that reached the application must have a recorded allow of its own.
 */
export const useTown = (options: TownOptions = {}): Town => {
  const logLines: string[] = []
  let running: RunningTown | null = null
  const town = () => {
    assert.ok(running !== null, 'the town is there while its tests run')
    return running
  }

  before(async () => {
    const backend = await startRawBackend(options.answers, { early: options.early === true })
    const { city, world } = await layOutTown(options, backend.url)
    try {
      running = { backend, city, gateway: await startTestGateway(world, { env: city.env, logLines }) }
      towns.push(running)
    } catch (error) {
      await backend.close()
      throw error
    }
  })

  const head = ({
    method = 'GET',
    target = '/accounts/7',
    host = HOST,
    as = 'alice',
    ...more
  }: Ask): string => {
    const lines = [`${method} ${target} HTTP/1.1`]
    if (host !== null) lines.push(`Host: ${host}`)
    if (as !== null) lines.push(`Authorization: Bearer ${tokenOf(town().city, as)}`)
    if (more.body !== undefined) lines.push(`Content-Length: ${Buffer.byteLength(more.body, 'latin1')}`)
    return `${[...lines, ...(more.headers ?? [])].join('\r\n')}\r\n\r\n`
  }

  const send = async (bytes: string | Buffer): Promise<Seen> => {
    const { backend, gateway } = town()
    const before = backend.requests.length
    const response = await rawRequest(gateway.port, bytes)
    const [id, ...others] = response.header('sallyport-decision-id')
    assert.deepEqual(others, [], 'an answer has one decision id')
    const record = gateway.records().find((each) => each.id === id)
    assert.ok(record !== undefined, `an answer has the id of a record, not ${id}: ${response.status}`)
    const isProblem = response.header('content-type')[0]?.startsWith('application/problem+json') === true
    const code = isProblem ? (JSON.parse(response.body.toString()) as { readonly code: string }).code : null
    return { status: response.status, code, response, record, forwarded: backend.requests.slice(before) }
  }

  const converse = async (bytes: string | Buffer): Promise<Conversation> => {
    const { backend, gateway } = town()
    const before = { requests: backend.requests.length, records: gateway.records().length }
    const { responses } = await rawUntilClosed(gateway.port, bytes)
    return {
      statuses: responses.map(({ status }) => status).filter((status) => status >= 200),
      forwarded: backend.requests.slice(before.requests),
      records: gateway.records().slice(before.records),
    }
  }

  return {
    ask: (asked) => send(head(asked) + (asked.body ?? '')),
    send,
    converse,
    head,
    bearer: async (claims) => {
      const exp = Math.floor(Date.now() / 1000) + 600
      const all = { iss: 'https://idp.test', aud: 'city', sub: 'alice', exp, ...claims }
      return `Authorization: Bearer ${await town().city.staffKey.sign(all)}`
    },
    city: () => town().city,
    gateway: () => town().gateway,
    backend: () => town().backend,
    logLines,
  }
}

const assertEachAllowed = (requests: readonly RecordedRequest[], records: readonly LoggedRecord[]): void => {
  const allowed = new Set(records.filter(({ decision }) => decision === 'allow').map(({ id }) => id))
  for (const { header, requestLine } of requests) {
    const [id = ''] = header('sallyport-decision-id')
    assert.ok(allowed.delete(id), `${requestLine} reached the application without an allow of its own`)
  }
}

/** Refused with this, on record as such, and nothing of it has reached the application. */
export const assertRefused = (seen: Seen, status: number, code: string): void => {
  assert.deepEqual([seen.status, seen.code], [status, code])
  assert.deepEqual([seen.record.decision, seen.record.code], ['deny', code])
  assert.deepEqual(
    seen.forwarded.map(({ requestLine }) => requestLine),
    [],
  )
}

/** Allowed, on record as such, and the application got it once, by exactly this target. Gives what it got. */
export const assertForwarded = (seen: Seen, target: string): RecordedRequest => {
  assert.deepEqual([seen.status, seen.record.decision], [200, 'allow'])
  const [request, ...others] = seen.forwarded
  assert.ok(request !== undefined && others.length === 0, 'the application is asked once')
  assert.equal(request.requestLine.split(' ')[1], target)
  return request
}

/** Id of the resource that was decided on. */
export const resourceOf = ({ record }: Seen): unknown => Reflect.get(Object(record.resource), 'id')
