import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Bank, startBank } from '../../src/demo/bank.ts'

describe("the demo's bank", () => {
  let bank: Bank
  before(async () => {
    bank = await startBank()
  })
  after(() => bank.close())

  const fetchAs = (user: string, path: string, init: RequestInit = {}): Promise<Response> =>
    fetch(`${bank.url}${path}`, { ...init, headers: { 'X-Remote-User': user } })

  const transfer = (from: string, body: string): Promise<Response> =>
    fetchAs('mallory', `/accounts/${from}/transfers`, { method: 'POST', body })

  test('believes X-Remote-User, whoever sends it', async () => {
    assert.deepEqual(await (await fetchAs('anybody', '/whoami')).json(), { user: 'anybody' })
  })

  test('checks no permission of its own', async () => {
    assert.equal((await fetchAs('mallory', '/accounts/1001')).status, 200)
    const moved = await transfer('1001', '{"to":"2001","amountCents":100}')
    assert.equal(moved.status, 201)
    assert.deepEqual(await moved.json(), {
      id: 'T000001',
      from: '1001',
      to: '2001',
      amountCents: 100,
      orderedBy: 'mallory',
    })
  })

  test('wants to be told who it is, except for its health', async () => {
    assert.equal((await fetch(`${bank.url}/accounts/1001`)).status, 401)
    assert.equal((await fetch(`${bank.url}/health`)).status, 200)
  })

  const badOrders: Readonly<Record<string, readonly [string, number]>> = {
    'no JSON': ['to=2001', 400],
    'no amount': ['{"to":"2001"}', 400],
    'an amount that is text': ['{"to":"2001","amountCents":"1"}', 400],
    'a negative amount': ['{"to":"2001","amountCents":-1}', 422],
    'a fraction of a cent': ['{"to":"2001","amountCents":1.5}', 422],
    'more than there is': ['{"to":"2001","amountCents":99999999}', 422],
    'an unknown account': ['{"to":"7","amountCents":1}', 422],
  }
  for (const [name, [body, status]] of Object.entries(badOrders)) {
    test(`refuses a transfer with ${name}`, async () => {
      assert.equal((await transfer('1001', body)).status, status)
    })
  }

  test('streams a statement of the month that is asked for', async () => {
    const lines = (await (await fetchAs('alice', '/accounts/1001/statements/2026-10')).text()).split('\n')
    assert.equal(lines[0], 'date,booking,amount_cents')
    assert.match(lines[1] ?? '', /^2026-10-01,booking 1,-?\d+$/)
    assert.equal(lines.length, 20_002)
  })

  test('sends a first tick at once, and more for as long as somebody reads', async () => {
    const response = await fetchAs('alice', '/ticker')
    assert.equal(response.headers.get('content-type'), 'text/event-stream')
    assert.ok(response.body !== null)
    const reader = response.body.getReader()
    const first = await reader.read()
    assert.match(Buffer.from(first.value ?? []).toString(), /^id: 1\nevent: rate\ndata: \{"pair":"EUR\/USD"/)
    await reader.cancel()
  })

  test('knows no other page', async () => {
    assert.equal((await fetchAs('alice', '/accounts/1001/close')).status, 404)
    assert.equal((await fetchAs('alice', '/accounts/7')).status, 404)
  })
})
