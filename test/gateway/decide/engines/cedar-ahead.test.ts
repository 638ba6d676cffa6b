import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { prepareAhead, questionsOfSchema } from '../../../../src/gateway/decide/engines/cedar-ahead.ts'
import { loadPolicies } from '../../../../src/gateway/decide/engines/cedar-load.ts'
import { createSlices, type Slices } from '../../../../src/gateway/decide/engines/cedar-prepared-slices.ts'
import type { ScopeQuestion } from '../../../../src/gateway/decide/engines/cedar-slices.ts'
import { collectingLog } from '../../../support/gateway.ts'

const SCHEMA = `namespace Bank { entity User; entity Account; action ${Array.from({ length: 50 }, (_, at) => `a${at}`).join(', ')}
appliesTo { principal: User, resource: Account }; }`

const slicesOf = (name: string): Slices => {
  const content = Buffer.from(
    Array.from(
      { length: 50 },
      (_, at) => `permit (principal, action == Bank::Action::"a${at}", resource);`,
    ).join('\n'),
  )
  const files = {
    version: name,
    policies: [{ path: '/p/a.cedar', content }],
    links: [],
    schema: SCHEMA,
    entities: null,
  }
  const loaded = loadPolicies(
    files,
    (finding) => assert.fail(finding.message),
    () => assert.fail('takes long'),
  )
  assert.ok(!(loaded instanceof Promise))
  return createSlices(name, loaded)
}

const question = (at: number): ScopeQuestion => ({
  principal: { type: 'Bank::User', id: 'alice' },
  action: { type: 'Bank::Action', id: `a${at}` },
  resource: { type: 'Bank::Account', id: '1' },
})

const log = collectingLog([])

describe('slices that are prepared ahead', () => {
  it('are those of the actions of the schema, for an engine that follows none', async () => {
    const slices = slicesOf('first')
    const { done, stop } = prepareAhead('first', slices, () => questionsOfSchema(SCHEMA), log)
    assert.equal(slices.asked().length, 0)
    assert.equal(await done, 50)
    assert.equal(slices.prepare(question(7)), false)
    stop()
  })

  it('are those that the engine before was asked for, the last ones first', async () => {
    const old = slicesOf('edited')
    const first = prepareAhead('edited', old, () => [], log)
    assert.equal(await first.done, 0)
    for (const at of [3, 4, 3]) old.sliceOf(question(at)).prepared.slot()
    const next = slicesOf('edited')
    const second = prepareAhead('edited', next, () => questionsOfSchema(SCHEMA), log)
    first.stop()
    assert.equal(await second.done, 2)
    assert.deepEqual(
      [next.prepare(question(3)), next.prepare(question(4)), next.prepare(question(5))],
      [false, false, true],
    )
    second.stop()
  })

  it('are no more once the engine is closed', async () => {
    const slices = slicesOf('closed')
    const { done, stop } = prepareAhead('closed', slices, () => questionsOfSchema(SCHEMA), log)
    stop()
    assert.equal(await done, 0)
  })

  it('are left to the questions when Cedar breaks', async () => {
    const lines: string[] = []
    const broken: Slices = { ...slicesOf('broken'), prepare: () => assert.fail('broke') }
    const { done } = prepareAhead('broken', broken, () => [question(1)], collectingLog(lines))
    assert.equal(await done, 0)
    assert.equal(lines.length, 1)
  })
})
