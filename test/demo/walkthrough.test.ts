import assert from 'node:assert/strict'
import { createServer, type Server, type ServerResponse } from 'node:http'
import { after, before, describe, test } from 'node:test'
import type { JsonObject } from '../../src/core/json.ts'
import { closeServer, listenLocally } from '../../src/demo/local-server.ts'
import { runWalkthrough } from '../../src/demo/walkthrough.ts'
import type { Step } from '../../src/demo/walkthrough-steps.ts'

const RECORDS: Readonly<Record<string, JsonObject>> = {
  one: {
    decision: 'allow',
    code: 'allowed',
    source: 'engine',
    reasons: ['owner-read'],
    latencyUs: { decide: 812 },
  },
  two: {
    decision: 'allow',
    code: 'allowed',
    source: 'grant',
    reasons: ['owner-read'],
    latencyUs: { decide: 9.4 },
  },
}

const ENDS: Readonly<Record<string, JsonObject>> = {
  one: { decision: 'deny', code: 'denied', follows: 'one', stream: { kind: 'events', reason: 'revoked' } },
}

const step = (path: string, more: Partial<Step['expect']> = {}): Step => ({
  title: `GET ${path}`,
  request: { method: 'GET', path, as: 'alice' },
  expect: { status: 200, decision: 'allow', code: 'allowed', ...more },
})

describe('the walkthrough', () => {
  const seen: string[] = []
  let server: Server
  let gatewayUrl = ''
  let minted = 0
  const revoked: string[] = []
  let ticker: ServerResponse | null = null
  before(async () => {
    server = createServer((request, response) => {
      seen.push(`${request.method} ${request.url} ${request.headers.host} ${request.headers.authorization}`)
      response.setHeader('Sallyport-Decision-Id', (request.url ?? '').slice(1, 4))
      if (request.url?.endsWith('/ticker') === true) {
        ticker = response
        response.write('data: 1\n\n')
      } else response.end('hello')
    })
    gatewayUrl = (await listenLocally(server, 0)).replace('127.0.0.1', 'localhost')
  })
  after(() => closeServer(server))

  const walk = async (steps: readonly Step[], colour = false): Promise<{ ok: boolean; text: string }> => {
    let text = ''
    const ok = await runWalkthrough({
      gatewayUrl,
      steps,
      colour,
      mint: async (name, options) => {
        minted += 1
        return `token-of-${name}${options?.mfa === true ? '-mfa' : ''}`
      },
      partnerKey: 'partner-key',
      readRecord: async (id) => RECORDS[id] ?? null,
      readEnd: async (id) => ENDS[id] ?? null,
      revoke: async (subject) => {
        revoked.push(subject)
        ticker?.end('data: 2\n\n')
      },
      write: (part) => {
        text += part
      },
      signal: AbortSignal.timeout(10_000),
    })
    return { ok, text }
  }

  test('is content when every step went as it should', async () => {
    const { ok, text } = await walk([
      step('/one', { source: 'engine', reasons: ['owner-read'], answer: 'hell' }),
    ])
    assert.equal(ok, true)
    assert.match(text, /> GET \/one\n/)
    assert.match(text, /< 200 OK\n/)
    assert.match(text, /reasons {7}\["owner-read"\]/)
    assert.match(text, /1 of 1 steps went as they should/)
  })

  const surprises: Readonly<Record<string, readonly [Partial<Step['expect']>, RegExp]>> = {
    'the status': [{ status: 403 }, /status: found 200, expected 403/],
    'the decision': [{ decision: 'deny' }, /decision: found "allow", expected "deny"/],
    'the code': [{ code: 'denied' }, /code: found "allowed", expected "denied"/],
    'the source': [{ source: 'grant' }, /source: found "engine", expected "grant"/],
    'the reasons': [{ reasons: [] }, /reasons: found \["owner-read"\], expected \[\]/],
    'the answer': [{ answer: 'bye' }, /answer: expected it to hold bye/],
  }
  for (const [what, [expectation, line]] of Object.entries(surprises)) {
    test(`is not content when ${what} is another, and says so`, async () => {
      const { ok, text } = await walk([step('/one'), step('/one', expectation)])
      assert.equal(ok, false)
      assert.match(text, line)
      assert.match(text, /1 of 2 steps went as they should/)
    })
  }

  test('is not content without a decision record', async () => {
    const { ok, text } = await walk([step('/none')])
    assert.equal(ok, false)
    assert.match(text, /there is no decision record/)
  })

  test('shows the time of a step beside that of the step before', async () => {
    const { text } = await walk([
      step('/one'),
      { ...step('/two', { source: 'grant' }), besidePrevious: true },
    ])
    assert.match(text, /to decide: 812 µs by the engine, 9 µs by the grant/)
  })

  const watched = (id: string, reason = 'revoked'): Step => ({
    title: 'a ticker',
    request: { method: 'GET', path: `/${id}/ticker`, thenRevoke: 'Partner::acme' },
    expect: {
      status: 200,
      decision: 'allow',
      code: 'allowed',
      answer: 'data: 2',
      end: { code: 'denied', reason },
    },
  })

  test('revokes while a ticker runs, reads it to its end, and shows the record of the end', async () => {
    revoked.length = 0
    const { ok, text } = await walk([watched('one')])
    assert.equal(ok, true, text)
    assert.deepEqual(revoked, ['Partner::acme'])
    assert.match(text, /\$ sallyport revoke --subject Partner::acme/)
    assert.match(
      text,
      /the record of the end says\n(?:.*\n)*? +stream +\{"kind":"events","reason":"revoked"\}/,
    )
  })

  test('is not content when what was taken back has another end, or none', async () => {
    const other = await walk([watched('one', 'denied')])
    assert.equal(other.ok, false)
    assert.match(other.text, /reason of the end: found "revoked", expected "denied"/)
    const none = await walk([watched('two')])
    assert.equal(none.ok, false)
    assert.match(none.text, /there is no decision record/)
  })

  test('sends the same token for the same person, and another one with a second factor', async () => {
    minted = 0
    const mfa: Step = { ...step('/one'), request: { method: 'GET', path: '/one', as: 'alice', mfa: true } }
    await walk([step('/one'), mfa, step('/two')])
    assert.equal(minted, 2)
    assert.deepEqual(
      seen.slice(-3).map((line) => line.split(' ').at(-1)),
      ['token-of-alice', 'token-of-alice-mfa', 'token-of-alice'],
    )
  })

  test('sends a path as it is written, and the host that the URL names', async () => {
    await walk([step('/one/../%2e%2e//x')])
    assert.equal(seen.at(-1), `GET /one/../%2e%2e//x ${new URL(gatewayUrl).host} Bearer token-of-alice`)
  })

  test('shows no credential', async () => {
    const { text } = await walk([
      { ...step('/one'), request: { method: 'GET', path: '/one', as: 'bob', partner: true } },
    ])
    assert.doesNotMatch(text, /token-of-bob|partner-key/)
    assert.match(text, /Authorization: Bearer <a token of bob>/)
  })

  test('uses colour only where it is wanted', async () => {
    assert.equal((await walk([step('/one')])).text.includes('\u001b'), false)
    assert.equal((await walk([step('/one')], true)).text.includes('\u001b[32m'), true)
  })
})
