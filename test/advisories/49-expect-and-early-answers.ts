// 0.CL and `Expect` desync (Kettle, "HTTP/1.1 must die", 2025; Akamai CVE-2025-32094, IIS, Netlify): an `Expect` that
// only one of two servers knows, or an answer before the body has come, leaves one of them waiting for a body that
// the other takes for the next request. Sallyport knows `100-continue` alone, answers it itself, never forwards it,
// and reads no request behind a body that it did not read.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HOST } from '../e2e/city.ts'
import { openRaw } from '../support/raw-http.ts'
import { assertForwarded, assertRefused, useTown } from './world.ts'

const town = useTown()

const SMUGGLED = `GET /health HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`

const EXPECTATIONS = [
  'y 100-continue',
  '100-continue, x',
  '100-continued',
  'x100-continue',
  '\x0b100-continue',
  '100-continue;a=b',
  '200-ok',
  '100 continue',
  'x',
]
for (const expectation of EXPECTATIONS) {
  for (const target of ['/files/a', '/nowhere']) {
    test(`Expect: ${JSON.stringify(expectation)} at ${target} is refused, and nothing behind it read`, async () => {
      const headers = [`Expect: ${expectation}`, `Content-Length: ${SMUGGLED.length}`]
      const head = town.head({ method: 'PUT', target, headers })
      const { statuses, forwarded } = await town.converse(head + SMUGGLED + SMUGGLED)
      assert.equal(statuses.length, 1)
      assert.ok(statuses[0] === 417 || statuses[0] === 400, `${statuses}`)
      assert.deepEqual(forwarded, [])
    })
  }
}

test('Expect: 100-continue is answered here, and does not reach the application', async () => {
  const connection = await openRaw(town.gateway().port)
  try {
    const headers = ['Expect: 100-continue', 'Content-Length: 5']
    connection.send(town.head({ method: 'PUT', target: '/files/a', headers }))
    assert.equal((await connection.response()).status, 100)
    connection.send('hello')
    assert.equal((await connection.response()).status, 200)
  } finally {
    connection.destroy()
  }
  const request = town.backend().requests.at(-1)
  assert.deepEqual([request?.header('expect'), request?.body.toString()], [[], 'hello'])
})

for (const [what, as, target, status] of [
  ['of nobody', null, '/files/a', 401],
  ['that is denied', 'bob', '/files/a', 403],
  ['that nothing maps', 'alice', '/nowhere', 404],
  ['that is malformed', 'alice', '/files/..', 400],
] as const) {
  for (const expect of [[], ['Expect: 100-continue']]) {
    test(`behind the unread body of a request ${what}${expect.length > 0 ? ', which expects to be asked,' : ''} nothing is read`, async () => {
      const headers = [...expect, `Content-Length: ${SMUGGLED.length + 10}`]
      const head = town.head({ method: 'PUT', target, as, headers })
      const { statuses, forwarded } = await town.converse(`${head}${SMUGGLED}`)
      assert.deepEqual([statuses, forwarded], [[status], []])
    })
  }
}

test('an expectation without a body is met, and the next request is its own', async () => {
  const next = town.head({ target: '/accounts/8' })
  const { statuses, forwarded } = await town.converse(
    `${town.head({ headers: ['Expect: 100-continue'] })}${next}@@\r\n\r\n`,
  )
  assert.deepEqual(statuses, [200, 200, 400])
  assert.deepEqual(
    forwarded.map(({ requestLine }) => requestLine),
    ['GET /accounts/7 HTTP/1.1', 'GET /accounts/8 HTTP/1.1'],
  )
})

test('a body in two encodings of itself is none', async () => {
  assertRefused(
    await town.ask({
      method: 'POST',
      target: '/accounts/7/transfers',
      headers: ['Content-Type: application/json', 'Content-Encoding: gzip'],
      body: '{"to":"8"}',
    }),
    400,
    'bad_request',
  )
  const put = await town.ask({
    method: 'PUT',
    target: '/files/a',
    headers: ['Content-Encoding: gzip'],
    body: 'zz',
  })
  assertForwarded(put, '/files/a')
})
