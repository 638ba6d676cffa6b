import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createDeparture } from '../../src/core/departure.ts'

describe('a departure', () => {
  it('is told once, to every listener that is still there', () => {
    const departure = createDeparture()
    const told: string[] = []
    departure.onGone(() => told.push('first'))
    const leave = departure.onGone(() => told.push('second'))
    departure.onGone(() => told.push('third'))
    leave()
    departure.gone()
    departure.gone()
    assert.deepEqual(told, ['first', 'third'])
  })

  it('is told at once to whoever asks after it', () => {
    const departure = createDeparture()
    departure.gone()
    const told: string[] = []
    departure.onGone(() => told.push('late'))
    assert.deepEqual(told, ['late'])
  })

  it('aborts its signal, whether that was made before or after', () => {
    const departure = createDeparture()
    const before = departure.signal()
    assert.equal(before.aborted, false)
    departure.gone()
    assert.equal(before.aborted, true)
    assert.equal(departure.signal(), before)
    const other = createDeparture()
    other.gone()
    assert.equal(other.signal().aborted, true)
  })
})
