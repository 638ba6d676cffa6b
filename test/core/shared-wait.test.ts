import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createSharedWait, sharedWaitOf } from '../../src/core/shared-wait.ts'

const MOST_MS = 50

describe('the wait of a request for what is shared', () => {
  it('is the sum of all its waits, and not the time between them', () => {
    const wait = createSharedWait()
    assert.equal(wait.leftMs(MOST_MS, 0), MOST_MS)
    wait.begin(1_000)
    assert.equal(wait.leftMs(MOST_MS, 11_000), 40)
    wait.end(21_000)
    assert.equal(wait.leftMs(MOST_MS, 900_000), 30)
    wait.begin(900_000)
    wait.end(929_500)
    assert.equal(wait.leftMs(MOST_MS, 930_000), 0)
  })

  it('counts those at the same time once', () => {
    const wait = createSharedWait()
    wait.begin(0)
    wait.begin(5_000)
    wait.end(10_000)
    assert.equal(wait.leftMs(MOST_MS, 12_000), 38)
    wait.end(20_000)
    assert.equal(wait.leftMs(MOST_MS, 40_000), 30)
  })

  it('can be lent to what is not counted, which has no more than is left', () => {
    const wait = createSharedWait()
    wait.begin(0)
    wait.end(20_000)
    const aside = wait.aside(20_000)
    assert.equal(aside.leftMs(MOST_MS, 20_000), 30)
    aside.begin(20_000)
    aside.end(60_000)
    assert.equal(aside.leftMs(MOST_MS, 60_000), 0)
    assert.equal(wait.leftMs(MOST_MS, 60_000), 30)
  })

  it('is one for all that is asked for the same caller, and another for another one', () => {
    const caller = () => new AbortController().signal
    const other = () => new AbortController().signal
    assert.equal(sharedWaitOf(caller), sharedWaitOf(caller))
    assert.notEqual(sharedWaitOf(caller), sharedWaitOf(other))
  })
})
