// Traefik GHSA-7ghq-v6jf-g56c: the connection to the application was opened with the head of a request and held for
// as long as its body took, so that a few callers who send an octet now and then held all of them. Sallyport asks the
// application for nothing before the caller is known and allowed; where a mapping reads the body, before all of it is
// there; and a body that is passed on must make progress, or both sides are cut.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openRaw, type RawConnection } from '../support/raw-http.ts'
import { useTown } from './world.ts'

const town = useTown({
  settings: { limits: '{ requestTimeout: 400ms, bodyIdleTimeout: 200ms, bodyMinRate: 1000 }' },
})

const connect = async (bytes: string): Promise<RawConnection> => {
  const connection = await openRaw(town.gateway().port)
  connection.send(bytes)
  return connection
}

const SLOW = ['Content-Length: 100000', 'Content-Type: application/json']

const CALLERS: Readonly<
  Record<string, { readonly as: string | null; readonly target: string; readonly status: number }>
> = {
  'is not known': { as: null, target: '/files/a', status: 401 },
  'may not': { as: 'bob', target: '/files/a', status: 403 },
  'asks for what there is not': { as: 'alice', target: '/nowhere', status: 404 },
}
for (const [who, { as, target, status }] of Object.entries(CALLERS)) {
  test(`whoever ${who} is answered at once, and costs the application no connection`, async () => {
    const before = town.backend().connections.length
    const connection = await connect(`${town.head({ method: 'PUT', target, as, headers: SLOW })}{`)
    assert.equal((await connection.response()).status, status)
    connection.destroy()
    assert.equal(town.backend().connections.length, before)
  })
}

for (const [what, start] of Object.entries({ 'has paused': '{"to":', 'has not begun': '' })) {
  test(`a body that a mapping waits for and that ${what} costs no connection, and ends by 408`, async () => {
    const before = town.backend().connections.length
    const connection = await connect(
      town.head({ method: 'POST', target: '/accounts/7/transfers', headers: SLOW }) + start,
    )
    assert.equal((await connection.response()).status, 408)
    await connection.closed()
    assert.equal(town.backend().connections.length, before)
    assert.equal(town.gateway().records().at(-1)?.code, 'request_timeout')
  })
}

test('a body that is passed on and pauses is cut, on both sides', async () => {
  const before = town.backend().connections.length
  const next = town.backend().connection(before)
  const connection = await connect(`${town.head({ method: 'PUT', target: '/files/a', headers: SLOW })}begun`)
  const upstream = await next
  const cut = new Promise<void>((resolve) => upstream.once('close', () => resolve()))
  assert.equal((await connection.response()).status, 408)
  await connection.closed()
  await cut
  assert.deepEqual(
    town.backend().requests.filter(({ requestLine }) => requestLine.startsWith('PUT')),
    [],
  )
})

test('a body of which an octet comes now and then is cut as well', async () => {
  const next = town.backend().connection(town.backend().connections.length)
  const connection = await connect(town.head({ method: 'PUT', target: '/files/a', headers: SLOW }))
  const drip = setInterval(() => connection.send('x'), 20)
  try {
    const upstream = await next
    const cut = new Promise<void>((resolve) => upstream.once('close', () => resolve()))
    assert.equal((await connection.response()).status, 408)
    await cut
  } finally {
    clearInterval(drip)
    connection.destroy()
  }
})
