import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { verifyLogs } from '../../src/gateway/record/verify.ts'
import { startRawBackend } from '../support/backend.ts'
import { layOut, readRecords, startGatewayProcess } from '../support/gateway.ts'
import { openRaw } from '../support/raw-http.ts'
import { get, world } from './live-world.ts'

const KILLS = 10
const CALLERS = 8
/** Answers after which the gateway is killed in the midst of others. */
const ANSWERS = 120

/** Asks for one thing after the other until the connection breaks; tells each decision id that it was given. */
const ask = async (port: number, onId: (id: string) => void): Promise<void> => {
  const connection = await openRaw(port)
  try {
    for (let number = 0; ; number += 1) {
      connection.send(get(number % 3 === 0 ? '/things/two' : '/things/one'))
      const response = await connection.response()
      onId(response.header('sallyport-decision-id')[0] ?? 'an answer without an id')
    }
  } catch {
    // The gateway is gone.
  } finally {
    connection.destroy()
  }
}

test('killed ten times under load, no decision that a caller or the application saw is missing from the log', async () => {
  const backend = await startRawBackend()
  const directory = layOut(world(backend.url))
  const seen = new Set<string>()
  try {
    for (let kill = 0; kill < KILLS; kill += 1) {
      const gateway = await startGatewayProcess(directory)
      let answers = 0
      const callers = Array.from({ length: CALLERS }, () =>
        ask(gateway.port, (id) => {
          seen.add(id)
          answers += 1
          if (answers === ANSWERS) gateway.child.kill('SIGKILL')
        }),
      )
      await Promise.all(callers)
      assert.equal(await gateway.ended, 'SIGKILL')
    }
    // The last line of the last life may be torn: the next start sets it aside.
    const after = await startGatewayProcess(directory)
    after.child.kill('SIGTERM')
    assert.equal(await after.ended, 0)
    const log = join(directory, 'log/decisions.ndjson')
    const recorded = new Set(readRecords(log).map(({ id }) => id))
    assert.ok(seen.size >= KILLS * ANSWERS)
    assert.deepEqual(
      [...seen].filter((id) => !recorded.has(id)),
      [],
    )
    const reached = backend.requests.flatMap(({ header }) => header('sallyport-decision-id'))
    assert.ok(reached.length > 0)
    assert.deepEqual(
      reached.filter((id) => !recorded.has(id)),
      [],
    )
    const verified = await verifyLogs([log], { heads: [] })
    assert.ok(!('unreadable' in verified))
    assert.deepEqual(verified.findings, [])
  } finally {
    await backend.close()
    rmSync(directory, { recursive: true, force: true })
  }
})
