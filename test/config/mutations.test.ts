import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parse } from 'yaml'
import { formatFinding } from '../../src/config/format-finding.ts'
import { type Files, loadWorld, SOUND } from './world.ts'

const SNIPPETS = [
  ...[
    '\n',
    '\t',
    ' ',
    ':',
    '- ',
    '#',
    '"',
    "'",
    '[',
    ']',
    '{',
    '}',
    '&a ',
    '*a',
    '!x ',
    '|\n',
    '<<: *a',
    '---\n',
    '\0',
  ],
  ...[
    'null',
    '0',
    '-1',
    '1e999',
    '99999999999999999999',
    'true',
    '~',
    '[]',
    '{}',
    '""',
    '2026-01-01',
    '\ud83d\ude00',
  ],
  ...[
    '$',
    '$$',
    '$path',
    '$body.a',
    "$'a' + 1",
    '$claims.?a',
    '__proto__',
    'constructor',
    'toString',
    '*',
    '/**',
    '{*rest}',
  ],
  ...[
    'evaluations:',
    'headers: {}',
    'match:',
    'access: public',
    'type: anonymous',
    '{ env: X }',
    '{ file: / }',
    '../..',
  ],
]

interface Mutation {
  readonly file: string
  readonly from: number
  readonly length: number
  readonly insert: string
}

const mutation: fc.Arbitrary<Mutation> = fc.record({
  file: fc.constantFrom(...Object.keys(SOUND)),
  from: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.oneof(fc.constant(0), fc.nat(12), fc.nat(120)),
  insert: fc.oneof(fc.constantFrom('', ...SNIPPETS), fc.string({ maxLength: 6 })),
})

const mutate = (files: Files, { file, from, length, insert }: Mutation): Files => {
  const text = String(files[file])
  const start = Math.floor(from * text.length)
  return { ...files, [file]: text.slice(0, start) + insert + text.slice(start + length) }
}

test('whatever is written, there is a configuration or an error with a place, and never an exception', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(mutation, { minLength: 1, maxLength: 3 }), async (mutations) => {
      const files = mutations.reduce(mutate, SOUND)
      const { configuration, findings } = await loadWorld(files)
      const errors = findings.filter(({ severity }) => severity === 'error')
      assert.equal(configuration === null, errors.length > 0)
      for (const finding of findings) {
        assert.ok(finding.line >= 1 && finding.column >= 1)
        assert.notEqual(finding.message, '')
        const line = formatFinding(finding)
        assert.doesNotMatch(line, /\n|undefined|\[object|hunter2|Symbol\(/)
      }
    }),
    { numRuns: 60 },
  )
})

const JSON_VALUE = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom<unknown>(...SNIPPETS, [], {}, null, 0),
)

/** Puts `value` somewhere in a tree: where `choices`, taken in turn, lead. */
const replaceSomewhere = (tree: unknown, choices: readonly number[], value: unknown): unknown => {
  const [choice, ...rest] = choices
  if (typeof tree !== 'object' || tree === null || choice === undefined) return value
  const keys = Object.keys(tree)
  const chosen = keys[choice % Math.max(1, keys.length)]
  if (chosen === undefined) return value
  const replace = (key: string, held: unknown): unknown =>
    key === chosen ? replaceSomewhere(held, rest, value) : held
  if (Array.isArray(tree)) return tree.map((held, index) => replace(String(index), held))
  return Object.fromEntries(Object.entries(tree).map(([key, held]) => [key, replace(key, held)]))
}

const YAML_FILES = Object.keys(SOUND).filter((file) => /\.(yaml|json)$/.test(file))

test('whatever value is anywhere, there is a configuration or an error with a place', async () => {
  const choices = fc.array(fc.nat(20), { minLength: 1, maxLength: 6 })
  await fc.assert(
    fc.asyncProperty(fc.constantFrom(...YAML_FILES), choices, JSON_VALUE, async (file, path, value) => {
      const tree = replaceSomewhere(parse(String(SOUND[file])), path, value)
      const { configuration, findings } = await loadWorld({ ...SOUND, [file]: JSON.stringify(tree) ?? '' })
      assert.equal(
        configuration === null,
        findings.some(({ severity }) => severity === 'error'),
      )
    }),
    { numRuns: 60 },
  )
})
