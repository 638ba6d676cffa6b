import assert from 'node:assert/strict'
import { createPublicKey, verify } from 'node:crypto'
import { type RawBackend, type RecordedRequest, startRawBackend } from '../support/backend.ts'
import type { LoggedRecord } from '../support/gateway.ts'
import { folded, foldedValues, oddities, read, spellOnce } from './naive-reading.ts'

/** A backend that keeps every byte, and answers with the decision id of the request. */
export interface Witness {
  readonly backend: RawBackend
  /** What came of requests that never became complete, one text a connection. */
  readonly unfinished: () => readonly string[]
}

export const startWitness = async (): Promise<Witness> => {
  const received: Buffer[][] = []
  const backend = await startRawBackend(
    (request, socket) => {
      const id = request.header('sallyport-decision-id')[0] ?? 'none'
      const head = request.requestLine.startsWith('HEAD ')
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${4 + id.length}\r\n\r\n${head ? '' : `saw ${id}`}`)
    },
    {
      onConnection: (socket) => {
        const chunks: Buffer[] = []
        received.push(chunks)
        socket.on('data', (chunk) => chunks.push(chunk))
      },
    },
  )
  const unfinished = (): readonly string[] =>
    received.map((chunks, connection) => {
      const all = Buffer.concat(chunks)
      const complete = backend.requests
        .filter((request) => request.connection === connection)
        .map(({ raw }) => raw)
      const taken = Buffer.concat(complete)
      assert.ok(all.subarray(0, taken.length).equals(taken), 'the backend lost its place')
      return all.toString('latin1', taken.length)
    })
  return { backend, unfinished }
}

/** What a record must say for a request to be where it is. */
export interface RecordOfRequest extends LoggedRecord {
  readonly route: string
  readonly subject?: { readonly type: string; readonly id: string }
  readonly resource?: { readonly type: string; readonly id: string }
  readonly evaluations?: readonly { readonly resource: { readonly type: string; readonly id: string } }[]
  readonly request: {
    readonly method: string
    readonly host: string
    readonly path: string
    readonly ip: string
  }
  readonly follows?: string
}

const one = (values: readonly string[], what: string): string => {
  assert.equal(values.length, 1, `${what}: ${JSON.stringify(values)}`)
  return values[0] ?? ''
}

export const decisionIdOf = (request: RecordedRequest): string =>
  one(foldedValues(request, 'sallyport-decision-id'), 'Sallyport-Decision-Id')

const text = ({ type, id }: { readonly type: string; readonly id: string }): string => `${type}::${id}`

/** Fields that are the gateway's alone: each is there once, under its very name, and says what the record says. */
const checkGatewayFields = (request: RecordedRequest, record: RecordOfRequest): void => {
  const host = one(foldedValues(request, 'host'), 'Host')
  const expected: Readonly<Record<string, readonly string[]>> = {
    'x-remote-user': record.subject === undefined ? [] : [record.subject.id],
    'x-forwarded-for': ['127.0.0.1'],
    'x-forwarded-proto': ['http'],
    'x-forwarded-host': [host],
    via: ['1.1 sallyport', '1.0 sallyport'],
  }
  for (const [name, values] of Object.entries(expected)) {
    const found = foldedValues(request, name)
    assert.deepEqual(
      found.slice(0, 1).filter((value) => values.includes(value)),
      found,
      `${name} is ${found}`,
    )
    assert.equal(found.length, Math.min(1, values.length), `${name} is missing`)
  }
  const forwarded = one(foldedValues(request, 'forwarded'), 'Forwarded')
  assert.match(forwarded, /^for=127\.0\.0\.1;host=("?)[^";]*\1;proto=http$/)
}

const NEVER = new Set([
  ...['authorization', 'x-api-key', 'proxy-authorization', 'proxy', 'x-real-ip', 'true-client-ip', 'upgrade'],
  ...[
    'x-http-method',
    'x-http-method-override',
    'x-method-override',
    'x-original-url',
    'x-rewrite-url',
    'expect',
  ],
  ...[
    'http2-settings',
    'proxy-connection',
    'trailer',
    'keep-alive',
    'x-forwarded-prefix',
    'x-forwarded-user',
  ],
])

const OURS = new Set([
  'sallyport-decision-id',
  'sallyport-assertion',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
])

/** What a caller must not get past the gateway, however it is spelled. */
const checkNothingElse = (request: RecordedRequest): void => {
  for (const line of request.headerLines) {
    assert.match(line, /^[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*$/, 'a header line')
    const name = line.slice(0, line.indexOf(':'))
    const same = folded(name)
    assert.ok(!NEVER.has(same), `${name} has passed`)
    const reserved = same.startsWith('sallyport-') || same.startsWith('x-forwarded-')
    if (reserved) assert.ok(OURS.has(name.toLowerCase()), `${name} has passed`)
  }
  for (const value of foldedValues(request, 'connection')) assert.match(value, /^(?:keep-alive|close)$/)
  for (const value of foldedValues(request, 'te')) assert.equal(value, 'trailers')
  for (const value of foldedValues(request, 'cookie')) {
    assert.ok(
      !value.split(';').some((part) => part.split('=')[0]?.trim() === 'session'),
      'the cookie has passed',
    )
  }
  const lengths = foldedValues(request, 'content-length')
  const codings = foldedValues(request, 'transfer-encoding')
  assert.ok(lengths.length + codings.length <= 1, `framed twice: ${lengths} ${codings}`)
  for (const length of lengths) assert.equal(length, String(request.body.length))
  for (const coding of codings) assert.equal(coding, 'chunked')
}

/** The request is what its record allows, to the byte. */
export const checkAllowed = (request: RecordedRequest, record: RecordOfRequest | undefined): void => {
  assert.ok(record !== undefined, 'there is no record of it')
  assert.equal(record.decision, 'allow')
  const { method, hostname, path, resources, route } = read(request)
  assert.deepEqual(oddities(request.requestLine.split(' ')[1] ?? ''), [])
  assert.equal(record.route, route)
  assert.deepEqual([record.request.method, record.request.host], [method, hostname])
  if (route === 'moved') checkTarget(path, record.request.path, hostname)
  else assert.equal(record.request.path, path)
  const recorded = record.evaluations?.map(({ resource }) => text(resource))
  const single = record.resource === undefined ? null : [text(record.resource)]
  assert.deepEqual(recorded ?? single, resources)
  assert.equal(record.subject === undefined, resources === null)
  assert.ok(!(resources ?? []).some((resource) => resource.includes('secret')), 'a secret was shown')
  checkGatewayFields(request, record)
  checkNothingElse(request)
}

export interface JsonWebKeys {
  readonly keys: readonly Record<string, unknown>[]
}

/** The signature that comes with a request is the gateway's, and for this request. */
export const checkAssertion = (
  request: RecordedRequest,
  record: RecordOfRequest,
  { keys }: JsonWebKeys,
): void => {
  const assertions = foldedValues(request, 'sallyport-assertion')
  if (record.subject === undefined) return assert.deepEqual(assertions, [])
  const [header = '', payload = '', signature = ''] = one(assertions, 'Sallyport-Assertion').split('.')
  const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString())
  const jwk = keys.find((key) => key.kid === kid)
  assert.ok(jwk !== undefined, 'the key is not published')
  const key = { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' } as const
  assert.ok(verify('sha256', Buffer.from(`${header}.${payload}`), key, Buffer.from(signature, 'base64url')))
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
  assert.deepEqual([claims.sub, claims.route, claims.aud], [record.subject.id, record.route, 'core'])
  const claimed: readonly { type: string; id: string }[] =
    claims.resource === undefined
      ? claims.evaluations.map(({ resource }: { resource: { type: string; id: string } }) => resource)
      : [claims.resource]
  assert.deepEqual(
    claimed.map(text),
    record.evaluations?.map(({ resource }) => text(resource)) ?? [
      text(record.resource ?? { type: '', id: '' }),
    ],
  )
}

/** The target that stood before a header line in the bytes of a connection; null when that cannot be told. */
export const targetBefore = (sent: string, headerLine: string): string | null => {
  if (sent.split(headerLine).length !== 2) return null
  const lines = sent.slice(0, sent.indexOf(headerLine)).split('\r\n').reverse()
  for (const line of lines) {
    const found = / (\S+) HTTP\/1\.[01]$/.exec(line)
    if (found !== null) return found[1] ?? ''
  }
  return null
}

/** The application got what was sent in its one spelling; what a rewrite made means the same. */
export const checkTarget = (arrived: string, sent: string, hostname: string): void => {
  const origin = spellOnce(sent.replace(/^https?:\/\/[^/?#]*/i, '').replace(/^(?=\?|$)/, '/'))
  if (hostname !== 'city.test' || !origin.startsWith('/old/')) return assert.equal(arrived, origin)
  const rewritten = origin.replace(/^\/old\/([^/?]*)\/?/, '/v2/things/$1')
  assert.equal(decodeURIComponent(arrived), decodeURIComponent(rewritten))
}
