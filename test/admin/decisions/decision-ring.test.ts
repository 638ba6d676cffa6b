import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createDecisionRing } from '../../../src/admin/decisions/decision-ring.ts'
import { idOf, line } from './samples.ts'

test('the latest records are kept, by number and by size', () => {
  const ring = createDecisionRing({ maxRecords: 3, maxBytes: 1_000_000 })
  for (let number = 0; number < 10; number += 1) ring.push(line(number), null)
  assert.deepEqual([ring.start(), ring.end()], [7, 10])
  assert.equal(ring.at(6), undefined)
  assert.equal(ring.at(7)?.line, line(7))
  assert.equal(ring.at(10), undefined)

  const small = createDecisionRing({ maxRecords: 100, maxBytes: 3 * line(1).length })
  for (let number = 1; number < 10; number += 1) small.push(line(number), null)
  assert.deepEqual([small.start(), small.end()], [6, 9])
})

test('a record that alone is too large is kept alone', () => {
  const ring = createDecisionRing({ maxRecords: 10, maxBytes: 100 })
  ring.push(line(1), null)
  ring.push(line(2, { context: { text: 'x'.repeat(1000) } }), null)
  assert.deepEqual([ring.start(), ring.end()], [1, 2])
  ring.push(line(3), null)
  assert.equal(ring.find(idOf(2)), null)
  assert.equal(ring.find(idOf(3)), 2)
})

test('what is kept is what was pushed, whatever its length and wherever the buffer ends', () => {
  const text = fc.string({ unit: 'binary', maxLength: 60 })
  fc.assert(
    fc.property(fc.array(text, { maxLength: 60 }), fc.integer({ min: 1, max: 8 }), (texts, maxRecords) => {
      const maxBytes = 2000
      const ring = createDecisionRing({ maxRecords, maxBytes })
      const pushed: string[] = []
      for (const [number, said] of texts.entries()) {
        pushed.push(line(number, { context: { said } }))
        ring.push(pushed[number] ?? '', null)
        assert.equal(ring.end(), number + 1)
        assert.ok(ring.start() <= number)
        let bytes = 0
        for (let kept = ring.start(); kept <= number; kept += 1) {
          assert.equal(ring.at(kept)?.line, pushed[kept])
          assert.equal(ring.find(idOf(kept)), kept)
          bytes += Buffer.byteLength(pushed[kept] ?? '')
        }
        assert.ok(bytes <= maxBytes || ring.start() === number)
      }
    }),
  )
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
