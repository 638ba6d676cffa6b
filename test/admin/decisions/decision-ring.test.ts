import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDecisionRing } from '../../../src/admin/decisions/decision-ring.ts'
import { idOf, line } from './samples.ts'

test('the latest records are kept, by number and by size', () => {
  const ring = createDecisionRing({ maxRecords: 3, maxCharacters: 1_000_000 })
  for (let number = 0; number < 10; number += 1) ring.push(line(number), null)
  assert.deepEqual([ring.start(), ring.end()], [7, 10])
  assert.equal(ring.at(6), undefined)
  assert.equal(ring.at(7)?.line, line(7))
  assert.equal(ring.at(10), undefined)

  const small = createDecisionRing({ maxRecords: 100, maxCharacters: 3 * line(1).length })
  for (let number = 1; number < 10; number += 1) small.push(line(number), null)
  assert.deepEqual([small.start(), small.end()], [6, 9])
})

test('a record that alone is too large is kept alone', () => {
  const ring = createDecisionRing({ maxRecords: 10, maxCharacters: 100 })
  ring.push(line(1), null)
  ring.push(line(2, { context: { text: 'x'.repeat(1000) } }), null)
  assert.deepEqual([ring.start(), ring.end()], [1, 2])
  ring.push(line(3), null)
  assert.equal(ring.find(idOf(2)), null)
  assert.equal(ring.find(idOf(3)), 2)
})

test('a record is found by its id until it is gone, and not by a part of one', () => {
  const ring = createDecisionRing({ maxRecords: 2 })
  for (const number of [1, 2, 3]) ring.push(line(number), null)
  assert.deepEqual(
    [1, 2, 3].map((number) => ring.find(idOf(number))),
    [null, 1, 2],
  )
  assert.equal(ring.find(idOf(3).slice(0, -1)), null)
  assert.equal(ring.find(''), null)
  assert.equal(ring.find('","time":"'), null)
})

test('listeners are called until they are not any more', () => {
  const ring = createDecisionRing()
  let calls = 0
  const unsubscribe = ring.subscribe(() => {
    calls += 1
  })
  ring.push(line(1), null)
  unsubscribe()
  ring.push(line(2), null)
  assert.equal(calls, 1)
})
