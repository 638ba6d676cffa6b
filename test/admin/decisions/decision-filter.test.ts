import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { type FilterTexts, matches, readFilter } from '../../../src/admin/decisions/decision-filter.ts'
import { createDecisionReader, parseRecord } from '../../../src/admin/decisions/decision-reader.ts'
import type { JsonObject } from '../../../src/core/json.ts'
import { line, record, START_MS } from './samples.ts'

const filterOf = (texts: FilterTexts) => {
  const read = readFilter(texts, START_MS)
  assert.ok('filter' in read, JSON.stringify(read))
  return read.filter
}

const BATCH = record(1, {
  action: null,
  resource: null,
  evaluations: [
    { action: { name: 'pay' }, resource: { type: 'Account', id: '1' }, context: {} },
    {
      action: { name: 'take' },
      resource: { type: 'Account', id: '2' },
      context: {},
      subject: { type: 'Robot', id: 'r' },
    },
  ],
})
const SPACED = record(1, { subject: { type: 'Bank::User', id: 'a::"b"\\' } })

const CASES: readonly (readonly [string, FilterTexts, JsonObject, boolean])[] = [
  ['nothing', {}, record(1), true],
  ['its subject', { subject: 'User::alice' }, record(1), true],
  ['another subject', { subject: 'User::bob' }, record(1), false],
  ['another type of subject', { subject: 'Robot::alice' }, record(1), false],
  ['a subject whose id it only ends with', { subject: 'User::lice' }, record(1), false],
  ['a type and an id with colons and quotes', { subject: 'Bank::User::a::"b"\\' }, SPACED, true],
  ['its action', { action: 'read' }, record(1), true],
  ['another action', { action: 'rea' }, record(1), false],
  ['its resource', { resource: 'Account::1' }, record(1), true],
  ['another resource', { resource: 'Account::11' }, record(1), false],
  ['a resource that is its subject', { resource: 'User::alice' }, record(1), false],
  ['its decision', { decision: 'allow' }, record(1), true],
  ['the other decision', { decision: 'deny' }, record(1), false],
  ['its route', { route: 'read-account' }, record(1), true],
  ['another route', { route: 'read' }, record(1), false],
  ['a time before it', { since: '2026-11-23T22:10:00Z' }, record(1), true],
  ['its very time, in another zone', { since: '2026-11-24T00:10:01.000+02:00' }, record(1), true],
  ['a time after it', { since: '2026-11-23T22:10:01.001Z' }, record(1), false],
  ['a while before now', { since: '1s' }, record(-1), true],
  ['a shorter while before now', { since: '999ms' }, record(-1), false],
  ['one of several questions', { action: 'take', resource: 'Account::2' }, BATCH, true],
  ['the action of one and the resource of another', { action: 'take', resource: 'Account::1' }, BATCH, false],
  ['the subject of one of several questions', { subject: 'Robot::r' }, BATCH, true],
  ['the subject of all questions', { subject: 'User::alice' }, BATCH, true],
  ['a subject where there is none', { subject: 'User::alice' }, record(1, { subject: null }), false],
  ['a route where there is none', { route: 'x' }, record(1, { route: null }), false],
]

describe('a record is found by', () => {
  for (const [name, texts, found, expected] of CASES) {
    test(`${name}: ${expected ? 'yes' : 'no'}`, () => {
      const filter = filterOf(texts)
      assert.equal(matches(filter, found), expected)
      assert.equal(createDecisionReader(filter)(JSON.stringify(found), null) !== null, expected)
      assert.equal(createDecisionReader(filter)(Buffer.from(JSON.stringify(found)), null) !== null, expected)
    })
  }
})

const MISTAKES: readonly FilterTexts[] = [
  { subject: 'alice' },
  { subject: '::alice' },
  { subject: 'User::' },
  { subject: '' },
  { resource: 'Account:42' },
  { decision: 'Allow' },
  { decision: '' },
  { since: 'yesterday' },
  { since: '2026-11-23' },
  { since: '2026-13-23T22:10:00Z' },
  { since: '15' },
  { since: '-15m' },
  { since: '15 m' },
]

for (const texts of MISTAKES) {
  test(`a mistake in ${JSON.stringify(texts)} is told by its name`, () => {
    const read = readFilter(texts, START_MS)
    assert.ok('mistake' in read)
    assert.ok(read.mistake.startsWith(`${Object.keys(texts)[0]}: expected`))
  })
}

test('what is passed over without being parsed would not have matched', () => {
  const word = fc.constantFrom('a', 'b', 'a"b', 'é', '\u2028', '::', 'a::b', '\\', '\n')
  const entity = fc.record({ type: word, id: word })
  const found = fc.record({
    subject: fc.option(entity),
    action: fc.option(fc.record({ name: word })),
    resource: fc.option(entity),
    decision: fc.constantFrom('allow', 'deny'),
    route: fc.option(word),
  })
  const textOf = ({ type, id }: { type: string; id: string }): string => `${type}::${id}`
  const wanted = fc.record(
    {
      subject: entity.map(textOf),
      action: word,
      resource: entity.map(textOf),
      decision: fc.constantFrom('allow' as const, 'deny' as const),
      route: word,
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(found, wanted, (fields, filter) => {
      const text = line(1, fields)
      const parsed = parseRecord(text)
      assert.ok(parsed !== null)
      assert.equal(createDecisionReader(filter)(text, null) !== null, matches(filter, parsed))
    }),
    { numRuns: 2000 },
  )
})

test('what is redacted cannot be asked for, and is shown as it is redacted', () => {
  const redact = (shown: JsonObject): JsonObject => ({ ...shown, subject: { type: 'User', id: 'hidden' } })
  assert.equal(createDecisionReader(filterOf({ subject: 'User::alice' }))(line(1), redact), null)
  const shown = createDecisionReader(filterOf({ subject: 'User::hidden' }))(line(1), redact)
  assert.deepEqual(shown?.record.subject, { type: 'User', id: 'hidden' })
})

test('the fields of the chain are not shown, and what is no record is none', () => {
  const shown = createDecisionReader({})(line(1, { seq: 7, prev: 'sha256:0' }), null)
  assert.deepEqual(shown?.record, record(1))
  for (const text of [
    '',
    '{',
    'null',
    '[]',
    '{"v":2,"id":"a","request":{}}',
    '{"v":1,"id":7,"request":{}}',
    '{"v":1,"id":"a"}',
  ]) {
    assert.equal(createDecisionReader({})(text, null), null, text)
  }
})
