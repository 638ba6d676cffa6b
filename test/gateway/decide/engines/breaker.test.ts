import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createBreaker } from '../../../../src/gateway/decide/engines/breaker.ts'
import { manualClock } from '../manual-clock.ts'

const FAILURES = 3

const brokenBreaker = () => {
  const clock = manualClock()
  const breaker = createBreaker(clock, { failures: FAILURES, trialEveryMs: 3000 })
  for (let count = 0; count < FAILURES; count += 1) {
    assert.equal(breaker.begin(), true)
    breaker.end('failure')
  }
  return { clock, breaker }
}

test('failures in a row open the breaker, and a success between them starts the count anew', () => {
  const breaker = createBreaker(manualClock(), { failures: 2 })
  for (const how of ['failure', 'success', 'failure'] as const) {
    assert.equal(breaker.begin(), true)
    breaker.end(how)
  }
  assert.equal(breaker.isOpen(), false)
  breaker.end('failure')
  assert.equal(breaker.isOpen(), true)
  assert.equal(breaker.begin(), false)
})

test('what callers cause opens nothing', () => {
  const breaker = createBreaker(manualClock(), { failures: 2 })
  for (let count = 0; count < 10; count += 1) {
    assert.equal(breaker.begin(), true)
    breaker.end('neutral')
  }
})

test('an open breaker lets one trial through at a time, and closes when it succeeds', () => {
  const { clock, breaker } = brokenBreaker()
  clock.pass(2999)
  assert.equal(breaker.begin(), false)
  clock.pass(1)
  assert.equal(breaker.begin(), true)
  assert.equal(breaker.begin(), false)
  breaker.end('success')
  assert.equal(breaker.isOpen(), false)
  assert.equal(breaker.begin(), true)
})

test('after a trial that failed the next one waits its time', () => {
  const { clock, breaker } = brokenBreaker()
  clock.pass(3000)
  assert.equal(breaker.begin(), true)
  breaker.end('failure')
  assert.equal(breaker.begin(), false)
  clock.pass(3000)
  assert.equal(breaker.begin(), true)
})

test('a trial that says nothing of the engine makes room for the next at once', () => {
  const { clock, breaker } = brokenBreaker()
  clock.pass(3000)
  assert.equal(breaker.begin(), true)
  breaker.end('neutral')
  assert.equal(breaker.begin(), true)
})
