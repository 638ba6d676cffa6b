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

const utf8 = (text: string): Buffer => Buffer.from(`${text.slice(0, -1)}${END}`)

test('lines are their UTF-8, one behind the other, and those that are kept stay whole while the next are made', () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: line },
    { weight: 1, arbitrary: fc.constantFrom('keep' as const, 'drop' as const) },
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const encoder = createLineEncoder()
      let added: Buffer[] = []
      const kept: { readonly bytes: Buffer; readonly wanted: Buffer }[] = []
      const finish = (how: 'keep' | 'drop'): void => {
        if (how === 'keep' && added.length > 0)
          kept.push({ bytes: encoder.bytes(), wanted: Buffer.concat(added) })
        encoder[how]()
        added = []
        assert.equal(encoder.bytes().length, 0)
      }
      for (const each of steps) {
        if (each === 'keep' || each === 'drop') {
          finish(each)
          continue
        }
        let bytes = encoder.add(each, END)
        if (bytes === null) {
          assert.ok(added.length > 0, 'a first line has room')
          finish('keep')
          bytes = encoder.add(each, END)
        }
        assert.ok(bytes?.equals(utf8(each)))
        added.push(utf8(each))
        assert.ok(encoder.bytes().equals(Buffer.concat(added)))
        // What could not be written leaves what was as it is.
        const last = kept.at(-1)
        if (last !== undefined) assert.ok(last.bytes.equals(last.wanted))
      }
    }),
  )
})

test('there is room for as many lines as 64 KiB hold', () => {
  const encoder = createLineEncoder()
  const short = JSON.stringify({ text: 'a'.repeat(480) })
  let count = 0
  while (encoder.add(short, END) !== null) count += 1
  assert.equal(count, Math.floor((65_536 - (short.length * 3 + END.length)) / utf8(short).length) + 1)
  assert.equal(encoder.bytes().length, count * utf8(short).length)
})
