import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isoTime } from '../../src/core/iso-time.ts'

const MAX_MS = 8.64e15

describe('the text of a time', () => {
  it('is that of Date, whatever time was written before', () => {
    const time = fc.oneof(
      fc.integer({ min: -MAX_MS, max: MAX_MS }),
      fc.integer({ min: 1_700_000_000_000, max: 1_700_000_003_000 }),
    )
    fc.assert(
      fc.property(fc.array(time, { maxLength: 20 }), (times) => {
        for (const atMs of times) assert.equal(isoTime(atMs), new Date(atMs).toISOString())
      }),
    )
  })

  it('is not there for what is no time', () => {
    assert.throws(() => isoTime(Number.NaN), RangeError)
    assert.throws(() => isoTime(MAX_MS * 2), RangeError)
    assert.equal(isoTime(0), '1970-01-01T00:00:00.000Z')
  })
})
