import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createLineEncoder } from '../../../../src/gateway/record/sinks/line-encoder.ts'

const END = ',"seq":1}\n'

const line = fc
  .oneof(
    fc.string({ unit: 'binary' }),
    // Around what fits, in characters of one and of three bytes.
    fc.integer({ min: 21_800, max: 21_860 }).map((length) => 'a'.repeat(length)),
    fc.integer({ min: 21_800, max: 21_860 }).map((length) => '\u20ac'.repeat(length)),
    fc.integer({ min: 65_500, max: 65_560 }).map((length) => 'a'.repeat(length)),
  )
  .map((text) => JSON.stringify({ text }))

test('lines are their UTF-8, and those that are kept stay whole while the next are made', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(line, fc.boolean()), { maxLength: 20 }), (lines) => {
      const encoder = createLineEncoder()
      let kept: { readonly bytes: Buffer; readonly wanted: Buffer } | null = null
      for (const [text, isKept] of lines) {
        const wanted = Buffer.from(`${text.slice(0, -1)}${END}`)
        const bytes = encoder.encode(text, END)
        assert.ok(bytes.equals(wanted))
        // A line that could not be written leaves the one that was as it is.
        if (kept !== null) assert.ok(kept.bytes.equals(kept.wanted))
        if (!isKept) continue
        encoder.keep()
        kept = { bytes, wanted }
      }
    }),
  )
})
