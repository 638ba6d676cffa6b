import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readYamlSource, type YamlSource } from '../../src/config/yaml-file.ts'
import type { Finding } from '../../src/core/problem.ts'

const read = (text: string | Buffer): { source: YamlSource | null; findings: Finding[] } => {
  const findings: Finding[] = []
  const source = readYamlSource('f.yaml', Buffer.from(text), (finding) => findings.push(finding))
  return { source, findings }
}

const laughs = [
  'a: &a [x, x, x, x, x, x, x, x, x]',
  ...[...'bcdefghi'].map((name, index) => {
    const before = 'abcdefgh'[index]
    return `${name}: &${name} [${Array(9).fill(`*${before}`).join(', ')}]`
  }),
].join('\n')

const MISTAKES: Readonly<Record<string, readonly [text: string | Buffer, place: string, message: RegExp]>> = {
  'a tab as indentation': ['a:\n\tb: 1\n', '2:1', /found a tab, expected spaces/],
  'a double quote that is not closed': ['a: 1\nb: "foo\nc: 1\n', '2:4', /no end of this quote \("\)/],
  'a single quote that is not closed': ["a: 'foo\nb: 1\n", '1:4', /no end of this quote \('\)/],
  'a bracket that is not closed': ['a: [1, 2\nb: 3\n', '1:4', /no end of this bracket \(\[\)/],
  'a brace that is not closed': ['a: {b: 1\nc: 2\n', '1:4', /no end of this bracket \(\{\)/],
  'a bracket too many': ['a: [1]]\n', '1:7', /more text after the end of a value/],
  'text after a quoted string': ['a: "x" y\n', '1:8', /more text after the end of a value/],
  'a template in braces': ['{ match: GET /a/{b}, x: 1 }\n', '1:17', /needs quotes/],
  'several documents': ['a: 1\n---\nb: 2\n', '2:1', /second YAML document, expected one/],
  'a custom tag': ['a: !foo bar\n', '1:4', /found a tag/],
  'a tag of YAML 1.1': ['a: !!binary aGk=\n', '1:4', /found a tag/],
  'a NUL': ['a: "x\0y"\n', '1:6', /found a NUL character/],
  'a NUL that is escaped': ['a: 1\nb: "x\\0y"\n', '2:4', /found a NUL character/],
  'a control character': ['a: x\u0007\n', '1:5', /control character U\+0007/],
  'half of a surrogate pair': ['a: "\\ud800"\n', '1:4', /surrogate/],
  'a byte that is not UTF-8': [Buffer.from([97, 58, 32, 0xe2, 0x82, 0xff, 10]), '1:4', /not UTF-8/],
  'an alias without an anchor': ['a: 1\nhost: *.example.com\n', '2:7', /starts with \* needs quotes/],
  'an alias inside of its anchor': ['a: &x [*x]\n', '1:8', /alias inside of what it stands for/],
  'aliases that multiply': [laughs, '6:8', /more than 100000 values/],
  'a merge key': ['a: &x {b: 1}\nc:\n  <<: *x\n', '3:3', /merge key/],
  'a number as a key': ['a: 1\n1: x\n', '2:1', /found a number as a key, expected a string/],
  'a list as a key': ['? [a]\n: b\n', '1:3', /found a map or a list as a key/],
  'nothing as a key': [': x\n', '1:1', /found nothing as a key/],
  'the key __proto__': ['__proto__: { x: 1 }\n', '1:1', /"__proto__"/],
  'a duplicate key': ['a: 1\nb: 2\na: 3\n', '3:1', /the key "a" a second time.*on line 1/],
  'a number that is not finite': ['a: 1e999\n', '1:4', /not finite/],
  'an integer that cannot be kept': ['a: 9007199254740993\n', '1:4', /cannot be kept exactly/],
  'an indentation that does not fit': ['a:\n    b: 2\n  c: 3\n', '3:1', /indentation/],
  'a line that is no key': ['a: 1\nfoo\nb: 2\n', '2:1', /neither a key/],
  'two colons': ['a: b: c\n', '1:4', /needs quotes/],
  'a reserved character': ['a: @foo\n', '1:4', /found "@" at the start/],
  'an unknown escape': ['a: "\\q"\n', '1:5', /escape/],
  'an unknown directive': ['%FOO bar\n---\na: 1\n', '1:1', /directive/],
  'another version of YAML': ['%YAML 1.1\n---\na: yes\n', '1:1', /directive of another version/],
  'an empty file': ['', '1:1', /empty file/],
  'nothing but comments': ['# nothing\n', '1:1', /empty file/],
  'nothing at the top': ['---\n', '1:1', /found nothing at the top, expected a map/],
  'a list at the top': ['# a comment\n- a\n', '2:1', /found a list at the top, expected a map/],
  'a single value at the top': ['foo\n', '1:1', /found a single value at the top/],
  'brackets without end': [`a: ${'['.repeat(20_000)}`, '1:821', /too deeply/],
  'too many levels': [`a: ${'['.repeat(200)}${']'.repeat(200)}`, '1:103', /more than 100 maps and lists/],
}

for (const [name, [text, place, message]] of Object.entries(MISTAKES)) {
  test(`${name} is one finding at its place`, () => {
    const { findings } = read(text)
    // Where the stack ends is not for us to say.
    const where = name === 'brackets without end' ? /^1:\d+$/ : new RegExp(`^${place}$`)
    assert.equal(findings.length, 1, JSON.stringify(findings))
    assert.match(`${findings[0]?.line}:${findings[0]?.column}`, where)
    assert.match(findings[0]?.message ?? '', message)
  })
}

test('mistakes on several lines are told at once', () => {
  const { findings } = read('a:\n\tb: 1\nc:\n\td: 1\n')
  assert.deepEqual(
    findings.map(({ line }) => line),
    [2, 4],
  )
})

test('a byte order mark, CR LF, comments, document markers and JSON are fine', () => {
  assert.deepEqual(read('\ufeffa: 1\r\nb: x\r\n').source?.value, { a: 1, b: 'x' })
  assert.deepEqual(read('--- # first\na: 1\n...\n').source?.value, { a: 1 })
  assert.deepEqual(read('{\n\t"a": [\n\t\t{"b":null}\n\t]\n}\n').source?.value, { a: [{ b: null }] })
  assert.deepEqual(read('%YAML 1.2\n---\na: !!str 12\n').source?.value, { a: '12' })
})

test('YAML 1.2 has no yes, no octals with a 0 and no dates', () => {
  assert.deepEqual(read('a: yes\nb: 2001-01-01\nc: 010\n').source?.value, {
    a: 'yes',
    b: '2001-01-01',
    c: 10,
  })
})

test('an alias stands for its anchor, and a mistake in it is told where it is written', () => {
  const { source } = read('base: &base\n  url: 5\nuse: *base\n')
  assert.deepEqual(source?.value, { base: { url: 5 }, use: { url: 5 } })
  assert.deepEqual(source?.locate({ path: ['use', 'url'] }), { line: 2, column: 8 })
  assert.deepEqual(source?.locate({ path: ['use'] }), { line: 3, column: 6 })
})

const DOCUMENT = `top:
  - name: first
    empty:
  - { name: "a\\tb\\u0041cd" , x: 'it''s here' }
block: |
  one
    two
folded: >
  one
  two

  three
plain: one
  two
`

test('a path of keys leads to its value, or to the key where the value is empty', () => {
  const { source } = read(DOCUMENT)
  assert.deepEqual(source?.locate({ path: ['top', 0, 'name'] }), { line: 2, column: 11 })
  assert.deepEqual(source?.locate({ path: ['top', 0, 'name'], atKey: true }), { line: 2, column: 5 })
  assert.deepEqual(source?.locate({ path: ['top', 0, 'empty'] }), { line: 3, column: 5 })
  assert.deepEqual(source?.locate({ path: ['top', 1] }), { line: 4, column: 5 })
})

test('a path that ends early leads to what should have held the value', () => {
  const { source } = read(DOCUMENT)
  assert.deepEqual(source?.locate({ path: ['top', 0, 'missing'] }), { line: 2, column: 5 })
  assert.deepEqual(source?.locate({ path: ['plain', 'missing', 'deeper'] }), { line: 13, column: 1 })
  assert.deepEqual(source?.locate({ path: ['missing'] }), { line: 1, column: 1 })
})

test('a character of a string is found behind quotes, escapes, folding and indentation', () => {
  const { source } = read(DOCUMENT)
  const at = (path: (string | number)[], offset: number): string => {
    const place = source?.locate({ path, offset })
    return `${place?.line}:${place?.column}`
  }
  const value = (path: (string | number)[]): string => {
    let current: unknown = source?.value
    for (const key of path) current = Reflect.get(Object(current), key)
    return String(current)
  }
  const found = (path: (string | number)[], word: string): string => at(path, value(path).indexOf(word))
  assert.equal(found(['top', 0, 'name'], 'rst'), '2:13')
  assert.equal(found(['top', 1, 'name'], 'cd'), '4:24')
  assert.equal(found(['top', 1, 'x'], 's here'), '4:38')
  assert.equal(found(['block'], 'two'), '7:5')
  assert.equal(found(['folded'], 'two'), '10:3')
  assert.equal(found(['folded'], 'three'), '12:3')
  assert.equal(found(['plain'], 'two'), '14:3')
})

test('columns count code points', () => {
  const { findings } = read('a: {"😀": 1, "😀": 2}\n')
  assert.equal(findings[0]?.column, 13)
})

test('whatever the bytes are, there is a value or a finding with a place in the file', () => {
  const piece = fc.constantFrom(
    'a',
    ':',
    ' ',
    '\n',
    '\t',
    '-',
    '[',
    ']',
    '{',
    '}',
    '"',
    "'",
    '&x',
    '*x',
    '!',
    '|',
    '>',
    '#',
    '%',
    '?',
    ',',
    '\\',
    '\0',
    '😀',
    '<<',
    '~',
    '1',
    '\r',
    '---',
  )
  const text = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 40 }).map((pieces) => pieces.join('')),
  )
  fc.assert(
    fc.property(text, (content) => {
      const { source, findings } = read(content)
      assert.ok(source !== null || findings.length > 0)
      const lines = content.split('\n').length
      for (const { line, column, message } of findings) {
        assert.ok(line >= 1 && line <= lines && column >= 1)
        assert.doesNotMatch(message, /\n/)
      }
    }),
    { numRuns: 2000 },
  )
})
