import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createMemoryStore } from '../../../../src/gateway/decide/grants/memory.ts'
import type { Grant } from '../../../../src/gateway/decide/grants/store.ts'
import { manualClock, START_MS } from '../manual-clock.ts'

const grantOf = (id: string, lifeMs: number, reasons: readonly string[] = []): Grant => ({
  id,
  decision: { decision: 'allow', reasons, errors: [], source: 'grant', policyVersion: 'v' },
  expiresAtMs: START_MS + lifeMs,
  lifeMs,
  held: 'e/0-0',
  facts: { id, subject: 'User::alice', credential: 'j', resources: [] },
})

const NO_MARKS = { changes: () => 0, voids: () => false }

const storeOf = (limits: { maxEntries?: number; maxBytes?: number } = {}) => {
  const clock = manualClock()
  return {
    clock,
    store: createMemoryStore({ clock, maxEntries: 10, maxBytes: 1_000_000, marks: NO_MARKS, ...limits }),
  }
}

describe('the memory store', () => {
  it('gives back the grant until its end, and not at its end', () => {
    const { clock, store } = storeOf()
    const grant = grantOf('a', 100)
    store.put(grant)
    clock.pass(99)
    const kept = store.get('a')
    assert.deepEqual({ ...kept, ...grant }, kept)
    assert.equal(kept?.decision, grant.decision)
    clock.pass(1)
    assert.equal(store.get('a'), undefined)
  })

  it('does not keep a grant longer when the wall clock is set back', () => {
    const { clock, store } = storeOf()
    store.put(grantOf('a', 100))
    clock.setWall(START_MS - 3_600_000)
    clock.pass(99)
    assert.notEqual(store.get('a'), undefined)
    clock.pass(1)
    assert.equal(store.get('a'), undefined)
  })

  it('does not keep a grant longer when the wall clock was set back while the engine was asked', () => {
    const { clock, store } = storeOf()
    clock.setWall(START_MS - 3_600_000)
    store.put(grantOf('a', 100))
    clock.pass(100)
    assert.equal(store.get('a'), undefined)
  })

  it('ends a grant early when the wall clock is set forward', () => {
    const { clock, store } = storeOf()
    store.put(grantOf('a', 100))
    clock.setWall(START_MS + 100)
    assert.equal(store.get('a'), undefined)
  })

  it('brings no grant back that has ended, when the wall clock is set back after it was seen', () => {
    const { clock, store } = storeOf()
    store.put(grantOf('a', 100))
    clock.setWall(START_MS + 100)
    assert.equal(store.get('a'), undefined)
    clock.setWall(START_MS)
    assert.equal(store.get('a'), undefined)
  })

  it('does not keep a grant whose life is over or unknown', () => {
    const { store } = storeOf()
    for (const lifeMs of [0, -1, Number.NaN]) store.put(grantOf('a', lifeMs))
    assert.equal(store.get('a'), undefined)
  })

  it('forgets what is deleted', () => {
    const { store } = storeOf()
    store.put(grantOf('a', 100))
    store.delete('a')
    assert.equal(store.get('a'), undefined)
  })

  it('lets the least recently used grant go when there are too many', () => {
    const { store } = storeOf({ maxEntries: 2 })
    store.put(grantOf('a', 100))
    store.put(grantOf('b', 100))
    store.get('a')
    store.put(grantOf('c', 100))
    assert.deepEqual(
      ['a', 'b', 'c'].map((id) => store.get(id) !== undefined),
      [true, false, true],
    )
  })

  it('counts what the grants hold, so that few large ones push others out as well', () => {
    const { store } = storeOf({ maxEntries: 1000, maxBytes: 100_000 })
    store.put(grantOf('small', 100))
    for (let index = 0; index < 5; index += 1) store.put(grantOf(`large${index}`, 100, ['r'.repeat(15_000)]))
    assert.equal(store.get('small'), undefined)
    assert.notEqual(store.get('large4'), undefined)
    store.put(grantOf('larger than all', 100, ['r'.repeat(100_000)]))
    assert.equal(store.get('larger than all'), undefined)
  })
})
