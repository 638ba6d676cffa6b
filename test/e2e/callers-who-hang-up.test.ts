import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { startTestGateway } from '../support/gateway.ts'
import { buildCity } from './city.ts'
import { createHostileCaller } from './hostile-caller.ts'
import { hostileTraffic } from './hostile-traffic.ts'
import { checkAllowed, decisionIdOf, type RecordOfRequest, startWitness } from './witness.ts'

const RUNS = Number(process.env.SALLYPORT_FUZZ_RUNS ?? 100)
const SEED = Number(process.env.SALLYPORT_FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31))

test('nothing reaches the application without its allow when callers hang up at any byte', async (t) => {
  t.diagnostic(`SALLYPORT_FUZZ_SEED=${SEED} SALLYPORT_FUZZ_RUNS=${RUNS}`)
  const witness = await startWitness()
  const city = await buildCity({ upstream: witness.backend.url })
  const logLines: string[] = []
  const gateway = await startTestGateway(city.world, { env: city.env, logLines })
  const caller = createHostileCaller(gateway.port)
  await fc.assert(
    fc.asyncProperty(fc.array(hostileTraffic(city), { minLength: 8, maxLength: 8 }), async (batch) => {
      await Promise.all(batch.map(caller.hangUp))
    }),
    { seed: SEED, numRuns: RUNS },
  )
  await caller.talk(fc.sample(hostileTraffic(city), { seed: SEED, numRuns: 1 })[0] ?? assert.fail())
  // Draining ends when nothing is under way any more.
  await gateway.gateway.close()
  const records = new Map(gateway.records().map((record) => [record.id, record as RecordOfRequest]))
  const ids = witness.backend.requests.map((request) => {
    const id = decisionIdOf(request)
    checkAllowed(request, records.get(id))
    return id
  })
  assert.equal(new Set(ids).size, ids.length, 'one decision let two requests through')
  for (const rest of witness.unfinished().filter((text) => text !== '')) {
    const [, id = ''] = /\r\nSallyport-Decision-Id: (\S+)\r\n/.exec(rest) ?? []
    assert.equal(records.get(id)?.decision, 'allow', `something else was sent on: ${JSON.stringify(rest)}`)
  }
  assert.deepEqual(
    logLines.filter((line) => line.includes('"internal error"')),
    [],
  )
  t.diagnostic(`${ids.length} requests reached the application, ${records.size} records`)
  assert.ok(ids.length > 0)
  rmSync(gateway.directory, { recursive: true })
  await witness.backend.close()
})
