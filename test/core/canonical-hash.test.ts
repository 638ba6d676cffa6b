import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { canonicalHash, canonicalText, hashText } from '../../src/core/canonical-hash.ts'

// Lone surrogates too: a JSON escape can bring them in.
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string(),
  fc.constantFrom('\ud800', '\udc00', '\ufffd'),
)

const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom(null, true, false, 0, -0, 1, '1', '', 'null', [], {}),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.integer(),
    text,
    fc.array(tie('json'), { maxLength: 4 }),
    fc.dictionary(text, tie('json'), { maxKeys: 4, noNullPrototype: true }),
  ),
}))

/** Reads a canonical text back: what can be read back in one way only cannot be two values. */
const readBack = (whole: string): unknown => {
  let at = 0
  const until = (end: string): string => {
    const stop = whole.indexOf(end, at)
    const part = whole.slice(at, stop)
    at = stop + 1
    return part
  }
  const string = (): string => {
    const tag = whole[at]
    at += 1
    const length = Number(until(':'))
    const size = tag === 'u' ? length * 4 : length
    const part = whole.slice(at, at + size)
    at += size
    return tag === 'u' ? Buffer.from(part, 'hex').toString('utf16le') : part
  }
  const value = (): unknown => {
    const tag = whole[at]
    if (tag === 's' || tag === 'u') return string()
    at += 1
    if (tag === 'z') return null
    if (tag === 't' || tag === 'f') return tag === 't'
    if (tag === 'n') return Number(until(';'))
    const size = Number(until(':'))
    if (tag === 'a') return Array.from({ length: size }, value)
    return Object.fromEntries(Array.from({ length: size }, () => [string(), value()]))
  }
  const result = value()
  assert.equal(at, whole.length)
  return result
}

const shuffled = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(shuffled)
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, inner]) => [key, shuffled(inner)] as const)
      .reverse(),
  )
}

describe('canonicalText', () => {
  it('can be read back as exactly the value that it was made of', () => {
    fc.assert(fc.property(json, (value) => assert.deepStrictEqual(readBack(canonicalText(value)), value)))
  })

  it('does not depend on the order of keys', () => {
    fc.assert(
      fc.property(json, (value) => assert.equal(canonicalText(shuffled(value)), canonicalText(value))),
    )
  })

  it('stays readable when texts are joined: what one says cannot move into the other', () => {
    fc.assert(
      fc.property(json, json, json, json, (a, b, c, d) => {
        const same = canonicalText([a, b]) === canonicalText([c, d])
        assert.equal(canonicalText(a) + canonicalText(b) === canonicalText(c) + canonicalText(d), same)
      }),
    )
    assert.notEqual(
      canonicalText('pass') + canonicalText('word'),
      canonicalText('pas') + canonicalText('sword'),
    )
  })

  it('leaves out keys that are undefined, and nothing else', () => {
    assert.equal(canonicalText({ a: undefined, b: 1 }), canonicalText({ b: 1 }))
    assert.notEqual(canonicalText({ a: null, b: 1 }), canonicalText({ b: 1 }))
  })

  it('throws for what is not JSON', () => {
    class Point {
      readonly x = 1
    }
    for (const value of [
      undefined,
      Number.NaN,
      Infinity,
      1n,
      () => 1,
      Symbol('s'),
      new Date(0),
      new Map(),
      new Point(),
    ]) {
      assert.throws(() => canonicalText(value), TypeError)
      assert.throws(() => canonicalText({ deep: [value] }), TypeError)
    }
  })
})

describe('canonicalHash', () => {
  const different: readonly (readonly [string, unknown, unknown])[] = [
    ['a number and its digits', 1, '1'],
    ['null and its letters', null, 'null'],
    ['an absent key and null', {}, { a: null }],
    ['an empty list and an empty map', [], {}],
    ['a list and a map with its indexes', ['a'], { 0: 'a' }],
    ['one string and two', ['ab'], ['a', 'b']],
    ['a separator in a key and in a value', { 'a:1': 'b' }, { a: '1:b' }],
    ['composed and decomposed letters', 'é', 'e\u0301'],
    ['letters that look alike', 'a', '\u0430'],
    ['a lone surrogate and what UTF-8 puts in its place', '\ud800', '\ufffd'],
    ['two lone surrogates', '\ud800', '\ud801'],
    ['a lone surrogate and its hexadecimal digits', '\ud800', '00d8'],
    ['nesting', [[], []], [[[]]]],
    ['keys that only assignment would lose', JSON.parse('{"__proto__":1}'), {}],
  ]
  for (const [name, left, right] of different) {
    it(`tells apart ${name}`, () => assert.notEqual(canonicalHash(left), canonicalHash(right)))
  }

  it('is the SHA-256 of the text, in base64url', () => {
    assert.match(canonicalHash({ a: 1 }), /^[A-Za-z0-9_-]{43}$/)
    assert.equal(canonicalHash({ a: 1 }), hashText(canonicalText({ a: 1 })))
  })
})
