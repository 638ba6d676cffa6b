import assert from 'node:assert/strict'
import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type GatewayProcess, layOut, readRecords, startGatewayProcess } from '../support/gateway.ts'
import { rawRequest } from '../support/raw-http.ts'
import {
  ADMIN_TOKEN,
  openSocket,
  startApplication,
  streamRoutes,
  streamWorld,
  tokenOf,
} from './streams-world.ts'
import { signingKey } from './workers-world.ts'

const start = async (t: TestContext) => {
  const application = await startApplication()
  const directory = layOut({
    ...(await streamWorld(application.url, {
      routes: streamRoutes('stream: { recheck: 1h }'),
      more: 'workers: 2\nassertion: { keyFile: assertion.jwk }\nrevocation: { file: ../log/marks }',
    })),
    'config/assertion.jwk': signingKey(),
  })
  const running: GatewayProcess[] = []
  t.after(async () => {
    for (const { child, ended } of running) {
      child.kill('SIGKILL')
      await ended
    }
    await application.close()
    rmSync(directory, { recursive: true, force: true })
  })
  const writers = (): readonly (readonly unknown[])[] =>
    [0, 1].map((index) => {
      const log = join(directory, `log/decisions.${index}.ndjson`)
      return existsSync(log) ? readRecords(log).filter(({ decision }) => decision === 'allow') : []
    })
  return {
    writers,
    begin: async () => {
      const gateway = await startGatewayProcess(directory, { env: { ADMIN_TOKEN } })
      running.push(gateway)
      return gateway
    },
  }
}

const revoke = async ({ admin }: GatewayProcess, mark: Readonly<Record<string, unknown>>) => {
  const reply = await fetch(`http://${admin}/v1/revocations`, {
    method: 'POST',
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, 'content-type': 'application/json' },
    body: JSON.stringify({ reason: 'a test', ...mark }),
  })
  assert.equal(reply.status, 201)
  // What the endpoint answers with.
  return (await reply.json()) as { readonly replicas: unknown }
}

test('a mark that one worker publishes ends what the others have open, and holds after a restart', async (t) => {
  const { begin, writers } = await start(t)
  const gateway = await begin()
  const token = await tokenOf('alice')
  const open: Awaited<ReturnType<typeof openSocket>>[] = []
  do open.push(await openSocket(gateway, '/ws/one', token))
  while (writers().some(({ length }) => length === 0))

  const { replicas } = await revoke(gateway, { subject: 'User::alice', effect: 'credentials' })
  assert.deepEqual(replicas, { known: 2, applied: 2 })
  assert.deepEqual(new Set(await Promise.all(open.map(({ closed }) => closed))), new Set([1008]))
  const status = async ({ port }: GatewayProcess): Promise<number> =>
    (
      await rawRequest(
        port,
        `GET /download/one HTTP/1.1\r\nHost: app\r\nAuthorization: Bearer ${token}\r\n\r\n`,
      )
    ).status
  for (let count = 0; count < 4; count += 1) assert.equal(await status(gateway), 401)

  gateway.child.kill('SIGTERM')
  assert.equal(await gateway.ended, 0)
  const next = await begin()
  for (let count = 0; count < 4; count += 1) assert.equal(await status(next), 401)
})
