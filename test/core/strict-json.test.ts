import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parseStrictJson } from '../../src/core/strict-json.ts'

const problemOf = (text: string, options = {}): string => {
  const result = parseStrictJson(text, options)
  assert.ok('problem' in result, `accepted: ${text}`)
  return result.problem
}
const parsed = (text: string, options = {}): unknown => {
  const result = parseStrictJson(text, options)
  assert.ok('value' in result, `refused: ${text}: ${JSON.stringify(result)}`)
  return result.value
}
const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth)

const REFUSED: ReadonlyMap<string, string> = new Map([
  ['a key that is there twice', '{"to":"a","to":"b"}'],
  ['a key that is there twice once it is unescaped', '{"to":"a","t\\u006f":"b"}'],
  ['keys that differ only by case', '{"name":"a","Name":"b"}'],
  ['keys that differ only by the case of a letter outside ASCII', '{"é":1,"É":2}'],
  ['keys that fold to the same name as in Go', '{"ſub":1,"sub":2}'],
  ['a duplicate key deep inside', '{"a":[{"b":{"c":1,"c":1}}]}'],
  ['__proto__ twice', '{"__proto__":1,"__proto__":2}'],
  ['nesting over 32', nested(33)],
  ['an integer beyond 2^53', '{"a":9007199254740993}'],
  ['2^53 itself, which 2^53 + 1 rounds to', '9007199254740992'],
  ['a negative integer beyond 2^53', '-9007199254740993'],
  ['an integer beyond 2^53 in exponent form', '1e300'],
  ['a fraction that rounds to an unsafe integer', '9007199254740992.5'],
  ['a number that is not finite', '1e400'],
  ['a byte order mark', '\ufeff{}'],
  ['a lone high surrogate by escape', '"\\ud800"'],
  ['a lone low surrogate by escape', '"\\udc00x"'],
  ['a lone surrogate as it is', '"\ud800"'],
  ['a lone surrogate in a key', '{"\\udfff":1}'],
  ['surrogates the wrong way round', '"\\udc00\\ud800"'],
  ['data after the end', '{} {}'],
  ['NUL after the end', '{}\0'],
  ['a trailing comma in an object', '{"a":1,}'],
  ['a trailing comma in an array', '[1,]'],
  ['a comment', '{/**/}'],
  ['single quotes', "{'a':1}"],
  ['an unquoted key', '{a:1}'],
  ['a leading zero', '01'],
  ['a leading plus', '+1'],
  ['a bare minus', '-'],
  ['a number that ends with a point', '1.'],
  ['a number that starts with a point', '.5'],
  ['hexadecimal', '0x10'],
  ['NaN', 'NaN'],
  ['Infinity', 'Infinity'],
  ['undefined', 'undefined'],
  ['a literal cut short', 'tru'],
  ['a literal with a tail', 'nullx'],
  ['a control character in a string', '"a\nb"'],
  ['an unknown escape', '"\\x41"'],
  ['a short unicode escape', '"\\u12"'],
  ['a string without end', '"abc'],
  ['an escape at the end', '"\\'],
  ['an object without end', '{"a":1'],
  ['an array without end', '[1'],
  ['white space that is not of JSON', '\u00a01'],
  ['a form feed', '\f1'],
  ['nothing', ''],
  ['only white space', ' \n'],
])

describe('parseStrictJson', () => {
  for (const [what, text] of REFUSED) {
    it(`refuses ${what}`, () => {
      problemOf(text)
    })
  }

  it('says where, and never repeats what was sent', () => {
    assert.equal(problemOf('{"hunter2":1,"hunter2":2}'), 'duplicate key at character 13')
    assert.equal(problemOf('[hunter2]'), 'unexpected character at character 1')
  })

  it('accepts nesting of 32, and what another limit says', () => {
    parsed(nested(32))
    parsed(nested(40), { maxDepth: 40 })
    problemOf(nested(3), { maxDepth: 2 })
    parsed('1', { maxDepth: 0 })
  })

  it('does not run out of stack on a million brackets', () => {
    problemOf('['.repeat(1_000_000))
    problemOf('{"a":'.repeat(200_000))
  })

  it('tells keys apart by case where it is asked to', () => {
    assert.deepEqual(
      { ...(parsed('{"a":1,"A":2}', { caseInsensitiveDuplicates: false }) as object) },
      { a: 1, A: 2 },
    )
    problemOf('{"a":1,"\\u0061":2}', { caseInsensitiveDuplicates: false })
  })

  it('keeps the largest safe integers and fractions', () => {
    assert.deepEqual(
      parsed('[9007199254740991,-9007199254740991,1.5,-0.25,1e2,0]'),
      [9007199254740991, -9007199254740991, 1.5, -0.25, 100, 0],
    )
  })

  it('reads __proto__ as a key like any other and pollutes nothing', () => {
    const value = parsed('{"__proto__":{"admin":true},"constructor":1}') as Record<string, unknown>
    assert.deepEqual(Object.keys(value), ['__proto__', 'constructor'])
    assert.equal(value.admin, undefined)
    assert.equal(({} as Record<string, unknown>).admin, undefined)
  })

  it('finds no key that was not sent', () => {
    const value = parsed('{}') as Record<string, unknown>
    for (const key of ['constructor', 'toString', '__proto__', 'hasOwnProperty'])
      assert.equal(value[key], undefined)
  })

  it('joins surrogate pairs, escaped or not', () => {
    assert.deepEqual(parsed('["\\ud83d\\ude00","😀"]'), ['😀', '😀'])
  })
})

const distinctKeys = (value: unknown): boolean => {
  if (Array.isArray(value)) return value.every(distinctKeys)
  if (typeof value !== 'object' || value === null) return true
  const keys = Object.keys(value).map((key) => key.toUpperCase().toLowerCase())
  return new Set(keys).size === keys.length && Object.values(value).every(distinctKeys)
}
const withPlainObjects = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

describe('parseStrictJson beside JSON.parse', () => {
  it('reads every unambiguous document as JSON.parse does', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 5 }), fc.constantFrom(0, 1, 2), (text, indent) => {
        const expected: unknown = JSON.parse(text)
        const formatted = JSON.stringify(expected, null, indent)
        const result = parseStrictJson(formatted)
        const safe = distinctKeys(expected) && !hasUnsafe(expected)
        assert.equal('value' in result, safe)
        if ('value' in result) assert.deepEqual(withPlainObjects(result.value), JSON.parse(formatted))
      }),
      { numRuns: 500 },
    )
  })

  it('accepts no mutated text that JSON.parse refuses, and then agrees with it', () => {
    const mutation = fc.record({
      at: fc.nat(),
      remove: fc.nat(3),
      insert: fc.string({ unit: fc.constantFrom(...'{}[]",:\\u0019eE+-.tfn \n\ufeff\0é'), maxLength: 4 }),
    })
    fc.assert(
      fc.property(fc.json({ maxDepth: 3 }), fc.array(mutation, { maxLength: 3 }), (text, mutations) => {
        const mutated = mutations.reduce((current, { at, remove, insert }) => {
          const index = at % (current.length + 1)
          return current.slice(0, index) + insert + current.slice(index + remove)
        }, text)
        const result = parseStrictJson(mutated)
        if ('value' in result)
          assert.deepEqual(withPlainObjects(result.value), withPlainObjects(JSON.parse(mutated)))
      }),
      { numRuns: 1000 },
    )
  })
})

const hasUnsafe = (value: unknown): boolean => {
  if (typeof value === 'number') return Number.isInteger(value) && !Number.isSafeInteger(value)
  if (typeof value === 'string') return /\p{Surrogate}/u.test(value)
  if (Array.isArray(value)) return value.some(hasUnsafe)
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value).some(([key, inner]) => hasUnsafe(key) || hasUnsafe(inner))
  }
  return false
}
