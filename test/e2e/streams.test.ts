import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { policy, replace, write } from './live-world.ts'
import {
  ADMIN_TOKEN,
  endOf,
  openDownload,
  openSocket,
  openUpload,
  type StreamsWorld,
  startStreams,
  streamRoutes,
  tokenOf,
} from './streams-world.ts'

const denyAll = ({ gateway }: StreamsWorld): void =>
  replace(gateway, 'policies/main.cedar', policy('another'))

/** Every end that the gateway makes follows the record that let the stream through. */
const assertFollows = ({ gateway }: StreamsWorld, end: Awaited<ReturnType<typeof endOf>>): void => {
  const first = gateway.records().find(({ id }) => id === end.follows)
  assert.deepEqual([first?.decision, first?.route], ['allow', end.route])
}

describe('what was let through is decided again by the policies of now', () => {
  test('a WebSocket is closed with 1008, and nothing more reaches the application', async (t) => {
    const world = await startStreams(t)
    const { gateway, application } = world
    const { socket, closed } = await openSocket(gateway, '/ws/one', await tokenOf('alice'))
    const echo = new Promise((resolve) => socket.once('message', (data) => resolve(String(data))))
    socket.send('hello')
    assert.equal(await echo, 'echo hello')
    denyAll(world)
    assert.equal(await closed, 1008)
    const end = await endOf(gateway, 'ws')
    assertFollows(world, end)
    assert.deepEqual([end.decision, end.code], ['deny', 'denied'])
    const { lifeMs, ...stream } = end.stream
    assert.deepEqual(stream, { kind: 'websocket', reason: 'denied', bytesIn: 11, bytesOut: 12 })
    assert.ok(Number(lifeMs) > 0)
    assert.deepEqual(application.messages, ['hello'])
  })

  test('a stream of events ends', async (t) => {
    const world = await startStreams(t)
    const reading = await openDownload(world.gateway, '/events/one', await tokenOf('alice'))
    denyAll(world)
    assert.equal(await reading.ended, 'complete')
    const end = await endOf(world.gateway, 'events')
    assertFollows(world, end)
    assert.deepEqual([end.stream.kind, end.stream.reason, end.code], ['events', 'denied', 'denied'])
    assert.ok(Number(end.stream.bytesOut) > 0)
  })

  for (const path of ['download', 'sized']) {
    test(`a ${path} cannot look complete`, async (t) => {
      const world = await startStreams(t)
      const reading = await openDownload(world.gateway, `/${path}/one`, await tokenOf('alice'))
      denyAll(world)
      assert.equal(await reading.ended, 'broken')
      const end = await endOf(world.gateway, path)
      assertFollows(world, end)
      assert.deepEqual([end.stream.kind, end.stream.reason], ['transfer', 'denied'])
      assert.ok(Number(end.stream.bytesOut) >= reading.bytes())
    })
  }

  test('an upload is aborted, and its caller refused', async (t) => {
    const world = await startStreams(t)
    const { answered } = openUpload(world.gateway, '/upload/one', await tokenOf('alice'))
    await until(() => world.application.uploadedBytes() > 0)
    denyAll(world)
    assert.equal(await answered, 403)
    const end = await endOf(world.gateway, 'upload')
    assertFollows(world, end)
    assert.deepEqual([end.decision, end.code, end.stream.reason], ['deny', 'denied', 'denied'])
    assert.ok(Number(end.stream.bytesIn) > 0)
    await until(() => world.application.cutUploads() === 1)
  })

  test('what the policies still allow goes on', async (t) => {
    const world = await startStreams(t)
    const { gateway } = world
    const { socket, closed } = await openSocket(gateway, '/ws/two', await tokenOf('alice'))
    const other = await openSocket(gateway, '/ws/one', await tokenOf('alice'))
    replace(gateway, 'policies/main.cedar', policy('two'))
    assert.equal(await other.closed, 1008)
    const echo = new Promise((resolve) => socket.once('message', (data) => resolve(String(data))))
    socket.send('still')
    assert.equal(await echo, 'echo still')
    socket.close(1000)
    assert.equal(await closed, 1000)
  })

  test('a stream whose route is gone ends', async (t) => {
    const world = await startStreams(t)
    const { closed } = await openSocket(world.gateway, '/ws/one', await tokenOf('alice'))
    write(world.gateway, 'config/routes/app.yaml', streamRoutes().replace('name: ws', 'name: moved'))
    assert.equal(await closed, 1008)
    const end = await endOf(world.gateway, 'ws')
    assert.deepEqual([end.code, end.stream.reason], ['no_route', 'route_changed'])
  })
})

describe('when the credential expires', () => {
  const inSeconds = (seconds: number) => ({ exp: Math.floor(Date.now() / 1000) + seconds })

  test('what it opened is closed', async (t) => {
    const { gateway } = await startStreams(t, { routes: streamRoutes('stream: { recheck: 1h }') })
    const token = await tokenOf('alice', inSeconds(2))
    const { closed } = await openSocket(gateway, '/ws/one', token)
    const reading = await openDownload(gateway, '/download/one', token)
    assert.equal(await closed, 1008)
    assert.equal(await reading.ended, 'broken')
    const end = await endOf(gateway, 'ws')
    assert.deepEqual([end.code, end.stream.reason], ['unauthenticated', 'credential_expired'])
  })

  test('it goes on where the route says so, until it is denied', async (t) => {
    const world = await startStreams(t, {
      routes: streamRoutes('stream: { recheck: 1s, onCredentialExpiry: continue }'),
    })
    const { gateway } = world
    const exp = inSeconds(2)
    const { socket, closed } = await openSocket(gateway, '/ws/one', await tokenOf('alice', exp))
    await until(() => Date.now() > (exp.exp + 1) * 1000)
    assert.equal(socket.readyState, socket.OPEN)
    denyAll(world)
    assert.equal(await closed, 1008)
  })
})

describe('a revocation mark ends within a second', () => {
  const marks: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    'of the subject': { subject: 'User::alice' },
    'of the credential': { credential: 'token-of-alice' },
    'of a resource': { resource: 'Thing::one' },
    'of the subject with all credentials': { subject: 'User::alice', effect: 'credentials' },
  }
  for (const [name, mark] of Object.entries(marks)) {
    test(`what one ${name} covers, and nothing else`, async (t) => {
      const { gateway } = await startStreams(t, { routes: streamRoutes('stream: { recheck: 1h }') })
      const { closed } = await openSocket(gateway, '/ws/one', await tokenOf('alice'))
      const other = await openSocket(gateway, '/ws/two', await tokenOf('bob'))
      const events = await openDownload(gateway, '/events/one', await tokenOf('alice'))
      const download = await openDownload(gateway, '/download/one', await tokenOf('alice'))
      await revoke(gateway, mark)
      assert.equal(await closed, 1008)
      assert.equal(await events.ended, 'complete')
      assert.equal(await download.ended, 'broken')
      for (const route of ['ws', 'events', 'download']) {
        const end = await endOf(gateway, route)
        assert.deepEqual([end.decision, end.code, end.stream.reason], ['deny', 'denied', 'revoked'])
      }
      assert.equal(other.socket.readyState, other.socket.OPEN)
      other.socket.terminate()
    })
  }

  test('an upload that is under way', async (t) => {
    const { gateway, application } = await startStreams(t)
    const { answered } = openUpload(gateway, '/upload/one', await tokenOf('alice'))
    await until(() => application.uploadedBytes() > 0)
    await revoke(gateway, { subject: 'User::alice' })
    assert.equal(await answered, 403)
    assert.equal((await endOf(gateway, 'upload')).stream.reason, 'revoked')
    await until(() => application.cutUploads() === 1)
  })

  test('a WebSocket while a frame is under way, behind which the Close frame stands', async (t) => {
    const { gateway } = await startStreams(t, { routes: streamRoutes('stream: { recheck: 1h }') })
    const { socket, closed } = await openSocket(gateway, '/ws/one', await tokenOf('alice'))
    const sizes: number[] = []
    socket.on('message', (data) => sizes.push(String(data).length))
    const text = 'x'.repeat(300_000)
    for (let count = 0; count < 5; count += 1) socket.send(text)
    await revoke(gateway, { all: true })
    assert.ok([1008, 1006].includes(await closed))
    assert.deepEqual(new Set(sizes), new Set(sizes.length === 0 ? [] : [text.length + 'echo '.length]))
  })
})

describe('an end that the gateway did not make', () => {
  test('of a WebSocket or of events is recorded too, that of an ordinary request is not', async (t) => {
    const { gateway } = await startStreams(t)
    const token = await tokenOf('alice')
    const { socket } = await openSocket(gateway, '/ws/one', token)
    socket.close(1000)
    const ws = await endOf(gateway, 'ws')
    assert.deepEqual(
      [ws.decision, ws.code, ws.source, ws.stream.reason],
      ['allow', 'ended', 'stream', 'caller'],
    )
    const events = await openDownload(gateway, '/events/one', token)
    events.response.destroy()
    assert.equal((await endOf(gateway, 'events')).stream.reason, 'caller')
    const download = await openDownload(gateway, '/download/one', token)
    download.response.destroy()
    const next = await openDownload(gateway, '/events/two', token)
    next.response.destroy()
    assert.equal(gateway.records().filter((record) => record.route === 'download').length, 1)
  })
})

const revoke = async (
  { admin }: StreamsWorld['gateway'],
  mark: Readonly<Record<string, unknown>>,
): Promise<void> => {
  const reply = await fetch(`http://${admin}/v1/revocations`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ reason: 'a test', ...mark }),
  })
  assert.ok(reply.ok, await reply.text())
}

const until = async (isSo: () => boolean): Promise<void> => {
  const deadline = AbortSignal.timeout(20_000)
  while (!isSo()) {
    deadline.throwIfAborted()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
