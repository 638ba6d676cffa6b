// Oathkeeper GHSA-w9mr-28mw-j8hg, Traefik CVE-2024-45410, CVE-2026-29054: whatever a request's `Connection` names is
// removed before forwarding; the gateway removed it after it had set its own headers, so that `Connection:
// X-Real-Ip`, or `connection: x-real-ip` once the first was mended, took the trusted value away. In Sallyport a
// caller's `Connection` has a say only over the caller's own fields, never over what decided the request or what
// Sallyport sets.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertForwarded, assertRefused, useTown } from './world.ts'

const town = useTown()

const OURS: Readonly<Record<string, RegExp>> = {
  'x-remote-user': /^alice$/,
  'x-forwarded-for': /^127\.0\.0\.1$/,
  'x-forwarded-proto': /^http$/,
  'x-forwarded-host': /^city\.test$/,
  forwarded: /^for=127\.0\.0\.1;/,
  via: /sallyport/,
  host: /^city\.test$/,
  'sallyport-decision-id': /^[0-9a-f-]{36}$/,
  'sallyport-assertion': /^[\w-]+\.[\w-]+\.[\w-]+$/,
}
const SPELLINGS: Readonly<Record<string, (name: string) => string>> = {
  'in lower case': (name) => `Connection: ${name}`,
  'in upper case': (name) => `Connection: ${name.toUpperCase()}`,
  'by connection in lower case': (name) => `connection: ${name}`,
  'in a list': (name) => `Connection: keep-alive, ,${name}\t, close`,
  'in a second field': (name) => `Connection: keep-alive\r\nConnection: ${name}`,
}

for (const [how, line] of Object.entries(SPELLINGS)) {
  test(`what Sallyport sets arrives although Connection names it ${how}`, async () => {
    for (const [name, value] of Object.entries(OURS)) {
      const headers = [line(name), `X-Remote-User: admin`]
      const request = assertForwarded(await town.ask({ headers }), '/accounts/7')
      assert.equal(request.header(name).length, 1, `${name} arrives once`)
      assert.match(request.header(name)[0] ?? '', value)
      assert.deepEqual(request.header('connection'), ['keep-alive'])
    }
  })
}

test('a header that a mapping has read cannot be taken away after the decision', async () => {
  const headers = ['X-Tenant: mine', 'Connection: x-tenant']
  const request = assertForwarded(await town.ask({ target: '/tenant', headers }), '/tenant')
  assert.deepEqual(request.header('x-tenant'), ['mine'])
  const secret = ['Connection: X-Tenant', 'X-Tenant: secret']
  assertRefused(await town.ask({ target: '/tenant', headers: secret }), 403, 'denied')
})

test('a credential that Connection names still counts, and is still removed', async () => {
  const seen = await town.ask({ headers: ['Connection: Authorization'] })
  const request = assertForwarded(seen, '/accounts/7')
  assert.deepEqual(request.header('authorization'), [])
  assertRefused(await town.ask({ as: 'bob', headers: ['Connection: Authorization'] }), 403, 'denied')
})

for (const name of ['content-length', 'content-type', 'cookie', 'user-agent', 'range', 'if-match']) {
  test(`${name}, which is for the application, stays`, async () => {
    const line = name === 'content-length' ? [] : [`${name}: a=b`]
    const asked = {
      method: 'PUT',
      target: '/files/a',
      body: 'hello',
      headers: [...line, `Connection: ${name}`],
    }
    const request = assertForwarded(await town.ask(asked), '/files/a')
    assert.equal(request.header(name).length, 1)
    assert.equal(request.body.toString(), 'hello')
  })
}

test('a field of the caller alone goes, as RFC 9110 has it', async () => {
  const seen = await town.ask({
    headers: ['X-Hop: 1', 'Connection: X-Hop', 'Keep-Alive: timeout=5', 'TE: gzip'],
  })
  const request = assertForwarded(seen, '/accounts/7')
  for (const name of ['x-hop', 'keep-alive', 'te']) assert.deepEqual(request.header(name), [], name)
})
