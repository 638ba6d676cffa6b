import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, type TestContext, test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import { addRevoke } from '../../src/cli/revoke.ts'
import { runCommand } from '../support/command.ts'
import {
  type GatewayProcess,
  type LoggedRecord,
  layOut,
  readRecords,
  startGatewayProcess,
} from '../support/gateway.ts'
import { type RedisServer, startRedis, withoutRedis } from '../support/redis-server.ts'
import { jwksOf, makeKey, type TestKey } from '../support/tokens.ts'
import { until } from './shared-world.ts'
import {
  ADMIN_TOKEN,
  type Application,
  endOf,
  openSocket,
  startApplication,
  streamRoutes,
  streamWorld,
  tokenOf,
} from './streams-world.ts'
import { signingKey } from './workers-world.ts'

const TRANSMITTER = 'https://transmitter.test'
const AUDIENCE = 'https://gateway.test/caep'
const SESSION_REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'

/** A gateway in a process of its own. */
interface Replica {
  readonly gateway: GatewayProcess
  readonly records: () => readonly LoggedRecord[]
}

describe('two gateways on one Redis', { skip: withoutRedis, timeout: 60_000 }, () => {
  let redis: RedisServer
  let application: Application
  let key: TestKey
  let replicas: readonly [Replica, Replica]
  const directories: string[] = []

  const start = async (files: Awaited<ReturnType<typeof streamWorld>>): Promise<Replica> => {
    const directory = layOut(files)
    directories.push(directory)
    const gateway = await startGatewayProcess(directory, { env: { ADMIN_TOKEN } })
    await until(async () => (await fetch(`http://${gateway.admin}/readyz`)).status === 200)
    return { gateway, records: () => readRecords(join(directory, 'log/decisions.ndjson')) }
  }

  before(async () => {
    redis = await startRedis()
    application = await startApplication()
    key = await makeKey('set-1', 'RS256')
    const files = {
      ...(await streamWorld(application.url, {
        routes: streamRoutes('stream: { recheck: 1h }'),
        more: [
          `grants: { store: "${redis.url}", redis: { commandTimeout: 2s } }`,
          'revocation: { maxStale: 3s }',
          'assertion: { keyFile: assertion.jwk }',
          `signals: { idp: { issuer: "${TRANSMITTER}", audience: "${AUDIENCE}", jwksFile: idp.json } }`,
        ].join('\n'),
      })),
      'config/assertion.jwk': signingKey(),
      'config/idp.json': JSON.stringify(jwksOf(key)),
    }
    replicas = [await start(files), await start(files)]
  })
  after(async () => {
    for (const { gateway } of replicas ?? []) {
      gateway.child.kill('SIGKILL')
      await gateway.ended
    }
    await application?.close()
    await redis?.close()
    for (const directory of directories) rmSync(directory, { recursive: true, force: true })
  })

  /** Opens a WebSocket of this person at the second gateway, has the first one told, and sees what becomes of it. */
  const closedBy = async (
    t: TestContext,
    sub: string,
    tell: (first: Replica) => Promise<void>,
  ): Promise<Awaited<ReturnType<typeof endOf>>> => {
    const [first, second] = replicas
    const watched = await openSocket(second.gateway, '/ws/one', await tokenOf(sub))
    const other = await openSocket(second.gateway, '/ws/two', await tokenOf(`other-than-${sub}`))
    t.after(() => other.socket.terminate())
    const records = () =>
      second.records().filter(({ subject }) => isDeepStrictEqual(subject, { type: 'User', id: sub }))
    await tell(first)
    assert.equal(await watched.closed, 1008)
    const end = await endOf({ records }, 'ws')
    assert.equal(end.follows, records()[0]?.id)
    assert.deepEqual([end.decision, end.stream.reason], ['deny', 'revoked'])
    // Nobody else is closed, and the first gateway has nothing to end.
    const echo = new Promise((resolve) => other.socket.once('message', (data) => resolve(String(data))))
    other.socket.send('still')
    assert.equal(await echo, 'echo still')
    assert.ok(!first.records().some((record) => 'stream' in record))
    return end
  }

  test('close at the one what a pushed session-revoked says to the other', async (t) => {
    const end = await closedBy(t, 'alice', async ({ gateway }) => {
      const nowSeconds = Math.floor(Date.now() / 1000)
      const claims = {
        ...{ iss: TRANSMITTER, aud: AUDIENCE, jti: 'set-1', iat: nowSeconds },
        sub_id: { format: 'iss_sub', iss: TRANSMITTER, sub: 'alice' },
        events: { [SESSION_REVOKED]: { event_timestamp: nowSeconds, reason_admin: { en: 'laptop lost' } } },
      }
      const reply = await fetch(`http://127.0.0.1:${gateway.port}/.well-known/sallyport/signals`, {
        method: 'POST',
        headers: { 'content-type': 'application/secevent+jwt' },
        body: await key.sign(claims, { typ: 'secevent+jwt' }),
      })
      assert.equal(reply.status, 202, await reply.text())
    })
    assert.match(String(end.detail), /laptop lost/)
  })

  test('close at the one what is revoked at the admin port of the other', async (t) => {
    const end = await closedBy(t, 'bob', async ({ gateway }) => {
      const reply = await fetch(`http://${gateway.admin}/v1/revocations`, {
        method: 'POST',
        headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
        body: JSON.stringify({ subject: 'User::bob', effect: 'credentials', reason: 'he has left' }),
      })
      // What the endpoint answers with.
      const { replicas: told } = (await reply.json()) as { readonly replicas: unknown }
      assert.deepEqual([reply.status, told], [201, { known: 2, applied: 2 }])
    })
    assert.match(String(end.detail), /he has left/)
  })

  test('close at the one what sallyport revoke says to the other', async (t) => {
    const end = await closedBy(t, 'carol', async ({ gateway }) => {
      const args = ['--admin', `http://${gateway.admin}`, '--subject', 'User::carol']
      const more = ['--effect', 'credentials', '--reason', 'her task is done']
      const env = { SALLYPORT_ADMIN_TOKEN: ADMIN_TOKEN }
      const { status, stderr } = await runCommand(addRevoke, ['revoke', ...args, ...more], { env })
      assert.equal(status, 0, stderr)
    })
    assert.match(String(end.detail), /her task is done/)
  })
})
