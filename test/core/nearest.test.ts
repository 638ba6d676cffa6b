import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { didYouMean, nearest } from '../../src/core/nearest.ts'

test('a slip of the fingers finds the name that was meant', () => {
  const valid = ['upstream', 'engine', 'authenticate', 'match']
  assert.equal(nearest('upstrem', valid), 'upstream')
  assert.equal(nearest('upsteram', valid), 'upstream')
  assert.equal(nearest('enigne', valid), 'engine')
  assert.equal(nearest('Authenticate', valid), 'authenticate')
  assert.equal(nearest('mach', valid), 'match')
})

test('letter case and separators count nothing', () => {
  assert.equal(nearest('api_key', ['jwt', 'api-key']), 'api-key')
  assert.equal(nearest('DrainTimeout', ['drainTimeout']), 'drainTimeout')
})

test('a name that is not close to any is not guessed', () => {
  assert.equal(nearest('cors', ['upstream', 'engine']), null)
  assert.equal(nearest('x', ['bank']), null)
  assert.equal(nearest('a'.repeat(1000), ['a'.repeat(999)]), null)
  assert.equal(didYouMean('cors', []), '')
})

test('a valid name is the nearest to itself', () => {
  fc.assert(
    fc.property(fc.uniqueArray(fc.stringMatching(/^[a-z]{4,12}$/), { minLength: 1 }), (names) => {
      for (const name of names) assert.equal(nearest(name, names), name)
    }),
    { numRuns: 50 },
  )
})
