import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { openRaw } from '../support/raw-http.ts'
import { type AdminAsk, startAdminWorld, TOKENS, type TokenName } from './admin-world.ts'

const OPEN = ['/healthz', '/readyz', '/metrics']

interface Guarded {
  readonly path: string
  readonly may: readonly TokenName[]
  readonly ask?: AdminAsk
  readonly status?: number
}

const QUESTION = { method: 'GET', url: 'http://city.test/accounts/1', claims: { sub: 'alice' } }

/** Every endpoint that wants a token, and which tokens may ask it. */
const GUARDED: readonly Guarded[] = [
  { path: '/v1/config', may: ['all', 'read'] },
  { path: '/v1/routes', may: ['all', 'read'] },
  { path: '/v1/audit/heads', may: ['all', 'read'] },
  { path: '/v1/grants', may: ['all', 'read'] },
  { path: '/v1/revocations', may: ['all', 'read'] },
  { path: '/v1/revocations/0-1', may: ['all', 'revoke'], ask: { method: 'DELETE' }, status: 404 },
  {
    path: '/v1/revocations',
    may: ['all', 'revoke'],
    ask: { method: 'POST', body: { all: true } },
    status: 201,
  },
  { path: '/v1/decisions', may: ['all', 'read'] },
  { path: '/v1/decisions/no-such-id', may: ['all', 'read'], status: 404 },
  { path: '/v1/decisions/stream?decision=perhaps', may: ['all', 'read'], status: 400 },
  { path: '/v1/explain', may: ['all', 'explain'], ask: { method: 'POST', body: QUESTION } },
]

test('each token may what its "may" says, and nothing else', async (t) => {
  const { ask } = await startAdminWorld(t)
  for (const { path, may, ask: how, status = 200 } of GUARDED) {
    for (const token of Object.keys(TOKENS) as TokenName[]) {
      const reply = await ask(path, { ...how, token })
      const expected = may.includes(token) ? status : 403
      assert.equal(reply.status, expected, `${token} at ${path}: ${reply.text}`)
      assert.equal(reply.headers['cache-control'], 'no-store')
      if (expected === 403) assert.equal(reply.headers['content-type'], 'application/problem+json')
    }
    assert.equal((await ask(path, { ...how, token: null })).status, 401, path)
  }
})

test('the open endpoints need neither a token nor a known host, and do not look at a wrong token', async (t) => {
  const { ask } = await startAdminWorld(t)
  for (const path of OPEN) {
    for (const headers of [{}, { host: 'evil.example' }, { authorization: 'Bearer wrong' }]) {
      assert.equal((await ask(path, { token: null, headers })).status, 200, path)
    }
    const head = await ask(path, { token: null, method: 'HEAD' })
    assert.deepEqual([head.status, head.text], [200, ''])
    const post = await ask(path, { token: null, method: 'POST' })
    assert.deepEqual([post.status, post.headers.allow], [405, 'GET'])
  }
})

const WRONG: Readonly<Record<string, AdminAsk['headers']>> = {
  'no token': {},
  'an unknown token': { authorization: 'Bearer nobody-has-this-token' },
  'a token with something before it': { authorization: `Bearer x${TOKENS.all}` },
  'a token with something behind it': { authorization: `Bearer ${TOKENS.all}x` },
  'a token cut short': { authorization: `Bearer ${TOKENS.all.slice(0, -1)}` },
  'a token in other letters': { authorization: `Bearer ${TOKENS.all.toUpperCase()}` },
  'two tokens in one field': { authorization: `Bearer ${TOKENS.all}, Bearer ${TOKENS.all}` },
  'two fields': { authorization: [`Bearer ${TOKENS.all}`, `Bearer ${TOKENS.all}`] },
  'another scheme': { authorization: `Basic ${Buffer.from(`admin:${TOKENS.all}`).toString('base64')}` },
  'no scheme': { authorization: TOKENS.all },
  'an empty token': { authorization: 'Bearer ' },
  'the token as a cookie': { cookie: `token=${TOKENS.all}` },
  'the token in another header': { 'x-api-key': TOKENS.all, 'proxy-authorization': `Bearer ${TOKENS.all}` },
}

describe('a request that wants a token', () => {
  for (const [name, headers] of Object.entries(WRONG)) {
    test(`is answered 401 with ${name}`, async (t) => {
      const { ask } = await startAdminWorld(t)
      const reply = await ask('/v1/config', { token: null, headers: headers ?? {} })
      assert.equal(reply.status, 401)
      assert.match(reply.headers['www-authenticate'] ?? '', /^Bearer /)
      assert.equal(reply.json?.status, 401)
    })
  }

  for (const query of ['token', 'access_token', 'authorization', 'bearer']) {
    test(`is answered 401 with the token in the query as ${query}`, async (t) => {
      const { ask, logLines } = await startAdminWorld(t)
      const reply = await ask(`/v1/config?${query}=${TOKENS.all}`, { token: null })
      assert.equal(reply.status, 401)
      assert.equal(logLines.join('\n').includes(TOKENS.all), false)
    })
  }

  test('is let in whatever the case of the scheme', async (t) => {
    const { ask } = await startAdminWorld(t)
    const headers = { authorization: `bEARER ${TOKENS.read}` }
    assert.equal((await ask('/v1/config', { token: null, headers })).status, 200)
  })
})

test('without a token nobody learns what is there', async (t) => {
  const { ask } = await startAdminWorld(t)
  for (const path of [
    '/',
    '/v1',
    '/v1/nothing',
    '/v1/config/',
    '//v1/config',
    '/v1/grants/',
    '/%2e%2e/healthz',
  ]) {
    assert.equal((await ask(path, { token: null })).status, 401, path)
    assert.equal((await ask(path)).status, 404, path)
  }
  assert.equal((await ask('/v1/config', { token: null, method: 'DELETE' })).status, 401)
  const deleted = await ask('/v1/config', { method: 'DELETE' })
  assert.deepEqual([deleted.status, deleted.headers.allow], [405, 'GET'])
})

test('a page of another origin gets no permission to read, nor to send', async (t) => {
  const { ask } = await startAdminWorld(t)
  const headers = { origin: 'https://evil.example', 'access-control-request-method': 'GET' }
  for (const reply of [
    await ask('/v1/config', { token: null, method: 'OPTIONS', headers }),
    await ask('/v1/config', { headers }),
    await ask('/metrics', { headers }),
  ]) {
    assert.deepEqual(
      Object.keys(reply.headers).filter((name) => name.startsWith('access-control-')),
      [],
    )
  }
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', '']) {
    const reply = await ask('/v1/explain', {
      method: 'POST',
      body: QUESTION,
      headers: { 'content-type': type },
    })
    assert.equal(reply.status, 415, type)
  }
})

const HOSTS: Readonly<Record<string, number>> = {
  localhost: 200,
  'LOCALHOST:1234': 200,
  '127.0.0.1': 200,
  '127.0.0.1:9901': 200,
  '[::1]:9901': 200,
  'gateway.internal': 200,
  'Gateway.Internal.:443': 200,
  'evil.example': 403,
  'localhost.evil.example': 403,
  '127.0.0.1.evil.example': 403,
  'evil.example:9901': 403,
  'evil.example@127.0.0.1': 403,
  'gateway.internal.evil.example': 403,
  '0.0.0.0': 403,
  '10.0.0.1': 403,
}

test('only a host that the port goes by is answered', async (t) => {
  const { ask } = await startAdminWorld(t)
  for (const [host, status] of Object.entries(HOSTS)) {
    assert.equal((await ask('/v1/config', { headers: { host } })).status, status, host)
  }
})

test('two Host fields, none, or a target with another authority are refused', async (t) => {
  const { gateway } = await startAdminWorld(t)
  const port = Number(gateway.admin?.split(':').at(-1))
  const ask = async (head: string): Promise<string> => {
    const connection = await openRaw(port)
    connection.send(`${head}\r\nAuthorization: Bearer ${TOKENS.all}\r\nConnection: close\r\n\r\n`)
    await connection.closed()
    return connection.bytes().toString().slice(0, 12)
  }
  assert.equal(await ask('GET /v1/config HTTP/1.1\r\nHost: localhost'), 'HTTP/1.1 200')
  for (const head of [
    'GET /v1/config HTTP/1.1\r\nHost: localhost\r\nHost: evil.example',
    'GET /v1/config HTTP/1.1\r\nHost: evil.example\r\nHost: localhost',
    'GET /v1/config HTTP/1.1\r\nX-Host: localhost',
    'GET /v1/config HTTP/1.0',
    'GET http://evil.example/v1/config HTTP/1.1\r\nHost: localhost',
    'GET http://localhost/v1/config HTTP/1.1\r\nHost: localhost',
  ]) {
    assert.match(await ask(head), /^HTTP\/1\.1 40[034]/, head)
  }
})

test('a refusal is logged with who it was, never with the token', async (t) => {
  const { ask, logLines } = await startAdminWorld(t)
  const secret = 'guessed-token-Zx9Cv8Bn7Mm6'
  await ask(`/v1/decisions?subject=User::${secret}`, {
    token: null,
    headers: { authorization: `Bearer ${secret}` },
  })
  await ask('/v1/config', { token: 'explain' })
  await ask('/v1/config', { headers: { host: 'evil.example' } })
  const refusals = logLines.map((line) => JSON.parse(line)).filter(({ message }) => /refused/.test(message))
  assert.deepEqual(
    refusals.map(({ method, path, status, token }) => ({ method, path, status, token })),
    [
      { method: 'GET', path: '/v1/decisions', status: 401, token: null },
      { method: 'GET', path: '/v1/config', status: 403, token: 'explainer' },
      { method: 'GET', path: '/v1/config', status: 403, token: null },
    ],
  )
  const text = logLines.join('\n')
  for (const token of [secret, ...Object.values(TOKENS)]) assert.equal(text.includes(token), false)
})

test('a flood of refusals is told in few lines', async (t) => {
  const { ask, logLines } = await startAdminWorld(t)
  for (let count = 0; count < 60; count += 1) await ask('/v1/config', { token: null })
  assert.ok(logLines.filter((line) => line.includes('an admin request was refused')).length < 60)
})

test('a head or a body that is too large is refused, and the port goes on', async (t) => {
  const { ask } = await startAdminWorld(t)
  assert.equal((await ask('/v1/config', { headers: { 'x-large': 'a'.repeat(20_000) } })).status, 431)
  const body = { ...QUESTION, body: 'a'.repeat(3 << 20) }
  assert.equal((await ask('/v1/explain', { method: 'POST', body })).status, 413)
  const chunked = { 'transfer-encoding': 'chunked' }
  assert.equal((await ask('/v1/explain', { method: 'POST', body, headers: chunked })).status, 413)
  assert.equal((await ask('/v1/config')).status, 200)
})

test('a connection beyond the limit is closed, and the port goes on', async (t) => {
  const { gateway, ask } = await startAdminWorld(t)
  const port = Number(gateway.admin?.split(':').at(-1))
  const sockets = Array.from({ length: 300 }, () => connect(port, '127.0.0.1').on('error', () => undefined))
  await Promise.race(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve))))
  for (const socket of sockets) socket.destroy()
  await Promise.all(
    sockets.map((socket) => socket.closed || new Promise((resolve) => socket.once('close', resolve))),
  )
  const settled = async (): Promise<number> => {
    for (;;) {
      const reply = await ask('/v1/config').catch(() => null)
      if (reply !== null) return reply.status
    }
  }
  assert.equal(await settled(), 200)
})

test('an edit of the tokens counts at once', async (t) => {
  const { gateway, ask, city } = await startAdminWorld(t)
  assert.equal((await ask('/v1/config', { token: 'read' })).status, 200)
  const file = `${gateway.directory}/config/sallyport.yaml`
  const edited = (city.world['config/sallyport.yaml'] ?? '').replace(/^.*ADMIN_READ.*\n/m, '')
  writeFileSync(file, edited)
  assert.equal((await gateway.gateway.reload()).outcome, 'applied')
  assert.equal((await ask('/v1/config', { token: 'read' })).status, 401)
  assert.equal((await ask('/v1/config')).status, 200)
})
