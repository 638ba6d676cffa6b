import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { createFrameTracker } from '../../../src/gateway/enforce/websocket-frames.ts'
import { frame } from '../../support/websocket.ts'

const payload = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.constantFrom(125, 126, 127, 65_535, 65_536, 70_000).map((length) => new Uint8Array(length)),
)
const frames = fc.array(
  fc.record({ opcode: fc.constantFrom(0, 1, 2, 9, 10), payload, masked: fc.boolean() }),
  { minLength: 1, maxLength: 5 },
)

const bytesOf = ({
  opcode,
  payload: content,
  masked,
}: {
  opcode: number
  payload: Uint8Array
  masked: boolean
}) => {
  const plain = frame(opcode, Buffer.from(content))
  if (!masked) return plain
  const headerLength = plain.length - content.length
  const header = Buffer.from(plain.subarray(0, headerLength))
  header[1] = (header[1] ?? 0) | 0x80
  return Buffer.concat([header, Buffer.from([1, 2, 3, 4]), plain.subarray(headerLength)])
}

const split = (bytes: Buffer, cuts: readonly number[]): readonly Buffer[] => {
  const places = [...new Set(cuts.map((cut) => cut % bytes.length)), bytes.length].sort((a, b) => a - b)
  let start = 0
  return places.map((place) => {
    const piece = bytes.subarray(start, place)
    start = place
    return piece
  })
}

describe('the frames of a WebSocket', () => {
  it('end where they end, however their bytes are split', () => {
    fc.assert(
      fc.property(frames, fc.array(fc.nat(), { maxLength: 8 }), (sent, cuts) => {
        const encoded = sent.map(bytesOf)
        const ends = new Set<number>([0])
        let total = 0
        for (const each of encoded) {
          total += each.length
          ends.add(total)
        }
        const tracker = createFrameTracker()
        let at = 0
        for (const piece of split(Buffer.concat(encoded), cuts)) {
          assert.equal(tracker.read(piece), piece.length)
          at += piece.length
          assert.equal(tracker.isBetween(), ends.has(at))
        }
        assert.equal(tracker.isClosing(), false)
      }),
    )
  })

  it('are read up to the next end when asked to stop there', () => {
    const tracker = createFrameTracker()
    const bytes = Buffer.concat([frame(1, 'hello'), frame(1, 'world')])
    tracker.read(bytes.subarray(0, 3))
    assert.equal(tracker.read(bytes.subarray(3), 'stop'), 4)
    assert.equal(tracker.isBetween(), true)
    assert.equal(tracker.read(bytes.subarray(7), 'stop'), 0)
  })

  it('tell that the application is closing', () => {
    const tracker = createFrameTracker()
    tracker.read(frame(1, 'bye'))
    assert.equal(tracker.isClosing(), false)
    tracker.read(frame(8, Buffer.from([0x03, 0xe8])).subarray(0, 1))
    assert.equal(tracker.isClosing(), true)
  })
})
