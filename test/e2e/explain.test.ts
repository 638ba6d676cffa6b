import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { type RawBackend, startRawBackend } from '../support/backend.ts'
import { type LoggedRecord, startTestGateway, type TestGateway } from '../support/gateway.ts'
import { openRaw, type RawConnection } from '../support/raw-http.ts'
import { buildCity, type City, HOST, tokenOf } from './city.ts'

let backend: RawBackend
let city: City
let gateway: TestGateway

before(async () => {
  backend = await startRawBackend()
  city = await buildCity({ upstream: backend.url })
  gateway = await startTestGateway(city.world, { env: city.env })
})

after(async () => {
  await gateway.close()
  await backend.close()
})

interface Asked {
  readonly method: string
  readonly host: string
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
}

/** An explanation, as far as these tests look at it. */
type Explained = Readonly<Record<string, unknown>>

const explained = async (question: unknown): Promise<Explained> => {
  const response = await fetch(`http://${gateway.admin}/v1/explain`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${city.credentials.adminToken}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify(question),
  })
  assert.equal(response.status, 200, await response.clone().text())
  // What the assertions below look at is what is checked of it.
  return (await response.json()) as Explained
}

const explain = ({ method, host, target, headers, body }: Asked): Promise<Explained> =>
  explained({ method, url: `http://${host}${target}`, headers, ...(body === null ? {} : { body }) })

const sendLive = async (connection: RawConnection, asked: Asked): Promise<string> => {
  const { method, host, target, headers, body } = asked
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  const framing = body === null ? '' : `Content-Length: ${Buffer.byteLength(body)}\r\n`
  connection.send(
    `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\n${lines.join('')}${framing}\r\n${body ?? ''}`,
  )
  const response = await connection.response({ head: method === 'HEAD' })
  return response.header('sallyport-decision-id')[0] ?? ''
}

const question = ({ action, resource, context, evaluations }: Explained | LoggedRecord): unknown =>
  Array.isArray(evaluations)
    ? evaluations.map(({ action, resource, context }) => ({ action, resource, context }))
    : action === undefined
      ? null
      : { action, resource, context }

const who = (): fc.Arbitrary<Readonly<Record<string, string>>> =>
  fc.constantFrom(
    { Authorization: `Bearer ${tokenOf(city, 'alice')}` },
    { Authorization: `Bearer ${tokenOf(city, 'bob')}` },
    { Authorization: `Bearer ${city.credentials.forged}` },
    { Cookie: `session=${city.credentials.session}` },
    { 'X-Api-Key': city.credentials.apiKey },
    { 'X-Api-Key': 'of-nobody' },
    {},
  )

const WORDS = ['1', '42', 'secret-1', 'a%20b', 'caf%C3%A9', '..', '%2e%2e', 'a%2fb', 'x;y', 'health', '']

const request = (): fc.Arbitrary<Asked> =>
  fc.record({
    method: fc.constantFrom('GET', 'HEAD', 'POST', 'DELETE'),
    host: fc.constantFrom(HOST, HOST, HOST, 'a.pages.test', 'elsewhere.test'),
    target: fc
      .tuple(
        fc.constantFrom(
          '/accounts/',
          '/accounts/',
          '/files/',
          '/blobs/',
          '/old/',
          '/search',
          '/tenant',
          '/health',
          '/',
        ),
        fc.constantFrom(...WORDS),
        fc.constantFrom('', '', '/transfers', '?q=1', '?q=secret', '?q=1&q=2'),
      )
      .map((parts) => parts.join('')),
    headers: fc
      .tuple(who(), fc.constantFrom({}, { 'X-Tenant': 'acme' }, { 'X-Tenant': 'secret' }))
      .map(([credential, tenant]) => ({ 'Content-Type': 'application/json', ...credential, ...tenant })),
    body: fc.constantFrom(
      null,
      '{"to":"7"}',
      '{"to":"secret-2"}',
      '{"to":7}',
      '{"to":"7","To":"8"}',
      'no json',
    ),
  })

test('1,000 requests are explained as they are decided, by route, question, decision and reasons', async () => {
  const requests = fc.sample(request(), { numRuns: 1000, seed: 20261126 })
  const explanations: Explained[] = []
  for (let at = 0; at < requests.length; at += 20) {
    explanations.push(...(await Promise.all(requests.slice(at, at + 20).map(explain))))
  }
  assert.equal(backend.requests.length, 0, 'explaining reached the application')
  assert.equal(gateway.records().length, 0, 'explaining was recorded')
  const ids: string[] = []
  for (const asked of requests) {
    const connection = await openRaw(gateway.port)
    ids.push(await sendLive(connection, asked))
    connection.destroy()
  }
  const records = new Map(gateway.records().map((record) => [record.id, record]))
  const seen = new Set<unknown>()
  for (const [index, asked] of requests.entries()) {
    const record = records.get(ids[index] ?? '')
    const explanation = explanations[index]
    assert.ok(record !== undefined && explanation !== undefined, JSON.stringify(asked))
    seen.add(explanation.code)
    const fields = [
      'decision',
      'code',
      'route',
      'owner',
      'subject',
      'reasons',
      'policyVersion',
      'inputs',
    ] as const
    const of = (from: Explained | LoggedRecord): unknown =>
      fields.map((field) => {
        // What is empty is left out of a record.
        const value = JSON.stringify(from[field] ?? null) === '{}' ? null : from[field] || null
        return field === 'reasons' ? (value ?? []) : value
      })
    assert.deepEqual(
      of({ reasons: [], ...explanation }),
      of({ reasons: [], ...record }),
      JSON.stringify(asked),
    )
    if (explanation.accessRequest !== null) {
      assert.deepEqual(question(Object(explanation.accessRequest)), question(record), JSON.stringify(asked))
    }
  }
  for (const code of ['allowed', 'denied', 'unauthenticated', 'bad_request', 'no_route'])
    assert.ok(seen.has(code), `no request was ${code}`)
})

const get = (target: string, headers: Readonly<Record<string, string>>): Asked => ({
  method: 'GET',
  host: HOST,
  target,
  headers,
  body: null,
})

const as = (name: string) => ({ Authorization: `Bearer ${tokenOf(city, name)}` })

describe('an explanation', () => {
  test('names the routes that the request fits but for something, and what that is', async () => {
    const { route, considered } = await explain({ ...get('/accounts/1', {}), method: 'DELETE' })
    assert.deepEqual([route, considered], [null, [{ route: 'account', owner: '', why: 'method' }]])
    const chosen = await explain(get('/accounts/1', {}))
    assert.deepEqual(chosen.considered, [{ route: 'account', owner: '', why: 'chosen' }])
  })

  test('gives each expression of the mapping with its value', async () => {
    const { expressions } = await explain({
      ...get('/accounts/5/transfers', as('alice')),
      method: 'POST',
      body: '{"to":"7"}',
      headers: { ...as('alice'), 'Content-Type': 'application/json' },
    })
    assert.deepEqual(expressions, [
      { at: 'evaluations.evaluations[0].resource.id', expression: '$path.from', value: '5' },
      { at: 'evaluations.evaluations[0].resource.properties.name', expression: '$path.from', value: '5' },
      { at: 'evaluations.evaluations[1].resource.id', expression: '$body.to', value: '7' },
      { at: 'evaluations.evaluations[1].resource.properties.name', expression: '$body.to', value: '7' },
      { at: 'headers.X-Remote-User', expression: '$subject.id', value: 'alice' },
    ])
  })

  test('gives the determining policies as they are written, and where', async () => {
    const { policies } = await explain(get('/accounts/secret-1', as('alice')))
    const [policy, ...others] = policies as readonly Explained[]
    assert.deepEqual(others, [])
    assert.deepEqual([policy?.id, policy?.effect, policy?.line], ['no-secrets', 'forbid', 4])
    assert.match(String(policy?.text), /resource\.name like/)
    assert.match(String(policy?.file), /city\.cedar$/)
  })

  test('says what would have allowed a request that no policy allowed', async () => {
    const { near, reasons } = await explain(get('/accounts/1', as('bob')))
    assert.deepEqual(reasons, [])
    const [policy] = near as readonly Explained[]
    assert.equal(policy?.id, 'guests-welcome')
    assert.deepEqual(policy?.unmet, ['unless { principal == User::"bob" }'])
  })

  test('has the key by which the answer is kept, and why there is none', async () => {
    const connection = await openRaw(gateway.port)
    const id = await sendLive(connection, get('/accounts/11', as('alice')))
    connection.destroy()
    const recorded = gateway.records().find((record) => record.id === id)?.grant
    const { grant } = await explain(get('/accounts/11', as('alice')))
    assert.equal(Object(grant).id, Object(recorded).id)
    assert.equal(Object(grant).parts.ttlMs, 15_000)
    const never = await explain({
      ...get('/accounts/5/transfers', as('alice')),
      method: 'POST',
      body: '{"to":"7"}',
    })
    assert.deepEqual([Object(never.grant).id, Object(never.grant).why], [null, 'grant_none'])
  })

  test('says what the caller sees, which holds nothing that is for operators', async () => {
    const { caller } = await explain(get('/accounts/secret-1', as('alice')))
    assert.deepEqual(caller, { status: 403, code: 'denied', title: 'Access is denied', detail: null })
  })

  test('holds no credential', async () => {
    const text = JSON.stringify([
      await explain(get('/accounts/1', as('alice'))),
      await explain(get('/accounts/1', { Authorization: `Bearer ${city.credentials.forged}` })),
      await explain(get('/accounts/1', { 'X-Api-Key': city.credentials.apiKey })),
    ])
    for (const secret of [tokenOf(city, 'alice'), city.credentials.forged, city.credentials.apiKey])
      assert.ok(!text.includes(secret.slice(-20)))
  })
})

describe('a past decision', () => {
  test('is explained by its id, with the policies that decided while they are the same', async () => {
    const connection = await openRaw(gateway.port)
    const id = await sendLive(connection, get('/accounts/secret-9', as('alice')))
    connection.destroy()
    const past = await explained({ decision: id })
    const recorded = Object(past.recorded)
    assert.deepEqual(
      [recorded.id, recorded.isCurrentConfig, recorded.isCurrentPolicy, past.route, past.code],
      [id, true, true, 'account', 'denied'],
    )
    assert.deepEqual(
      (past.policies as readonly Explained[]).map((policy) => policy.id),
      ['no-secrets'],
    )
    assert.deepEqual(Object(past.accessRequest).resource.id, 'secret-9')
  })

  test('that no log has is not found', async () => {
    const response = await fetch(`http://${gateway.admin}/v1/explain`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${city.credentials.adminToken}`,
        'content-type': 'application/json',
      },
      body: JSON.stringify({ decision: '0193e0a4-0000-7000-8000-000000000000' }),
    })
    assert.equal(response.status, 404)
  })
})
