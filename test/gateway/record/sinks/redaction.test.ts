import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { describe, test } from 'node:test'
import type { DecisionRecord } from '../../../../src/gateway/record/decision-record.ts'
import { decisionRecord } from '../../../../src/gateway/record/record.ts'
import { createFilter } from '../../../../src/gateway/record/sinks/record-filter.ts'
import {
  createRedaction,
  parseRedactPath,
  type RedactPath,
} from '../../../../src/gateway/record/sinks/redaction.ts'
import { allowedEntry, fixedClock, guarded } from '../samples.ts'

const KEY = 'a-key-of-these-tests'
const hashOf = (value: unknown): string =>
  `hmac-sha256:${createHmac('sha256', KEY).update(JSON.stringify(value)).digest('hex')}`

const pathOf = (text: string): RedactPath => {
  const path = parseRedactPath(text)
  assert.ok(!('problem' in path), text)
  return path
}

const redact = (record: DecisionRecord, ...paths: readonly string[]): DecisionRecord =>
  createRedaction(paths.map(pathOf), KEY)(record)

const record = (more: Partial<DecisionRecord> = {}): DecisionRecord => ({
  ...decisionRecord(allowedEntry(), { configVersion: 'sha256:0', writer: 'gw-1.0', clock: fixedClock }),
  ...more,
})

describe('redaction', () => {
  test('replaces a value by its keyed hash, and the same one wherever else it stands', () => {
    const redacted = redact(record(), 'resource.id')
    assert.deepEqual(redacted.resource, { type: 'Account', id: hashOf('42') })
    assert.deepEqual(redacted.inputs, { 'path.accountId': hashOf('42') })
    assert.equal(redacted.request.path, `/accounts/${hashOf('42')}`)
    assert.deepEqual(redacted.subject, { type: 'User', id: 'alice' })
  })

  test('replaces what a mark is about where that is replaced in questions', () => {
    const mark = { id: '1-0', effect: 'grants', by: 'oncall', expires: '' }
    const marked = (kind: string, target: string, reason: string, ...paths: readonly string[]) => {
      const redacted = redact(record({ mark: { ...mark, kind, target, reason } }), ...paths).mark
      return [redacted?.target, redacted?.reason]
    }
    const name = 'User::mallory::x'
    const hash = hashOf('mallory::x')
    for (const path of ['subject', 'subject.id', 'evaluations.subject.id'])
      assert.deepEqual(marked('subject', name, 'mallory::x left', path), [`User::${hash}`, `${hash} left`])
    for (const path of ['subject.properties', 'subject.id.more', 'resource.id'])
      assert.deepEqual(marked('subject', name, 'left', path), [name, 'left'])
    assert.deepEqual(marked('credential', 'k::77', '', 'credential.id'), [hashOf('k::77'), ''])
    assert.deepEqual(marked('session', 's-1', '', 'credential.id'), ['s-1', ''])
  })

  test('replaces a value in what an engine says about it', () => {
    const said = { adminReason: 'alice is no owner', advice: ['tell alice'] }
    const { adminReason, advice } = redact(record(said), 'subject.id')
    assert.deepEqual([adminReason, advice], [`${hashOf('alice')} is no owner`, [`tell ${hashOf('alice')}`]])
  })

  test('changes nothing where its path leads nowhere, and never the record itself', () => {
    const before = record()
    const text = JSON.stringify(before)
    assert.equal(JSON.stringify(redact(before, 'context.ssn', 'subject.properties.tax')), text)
    redact(before, 'subject.id', 'request.ip')
    assert.equal(JSON.stringify(before), text)
  })

  test('reaches into lists and maps, and keeps their shape', () => {
    const context = { people: [{ ssn: '1', name: 'a' }, { ssn: '2' }], ssn: { old: 3, none: null } }
    const redacted = redact(record({ context, request: { id: 'x' } }), 'context.people.ssn', 'context.ssn')
    assert.deepEqual(redacted.context, {
      people: [{ ssn: hashOf('1'), name: 'a' }, { ssn: hashOf('2') }],
      ssn: { old: hashOf(3), none: hashOf(null) },
    })
  })

  test('finds its places in each of several evaluations', () => {
    const evaluations = [
      { action: { name: 'pay' }, resource: { type: 'Account', id: '42' }, context: { to: '7' } },
      { action: { name: 'pay' }, resource: { type: 'Account', id: '7' }, context: {} },
    ]
    const redacted = redact(record({ evaluations, request: { id: 'x' } }), 'resource.id', 'context.to')
    assert.deepEqual(
      redacted.evaluations?.map(({ resource, context }) => [resource.id, context]),
      [
        [hashOf('42'), { to: hashOf('7') }],
        [hashOf('7'), {}],
      ],
    )
  })

  test('takes the texts of engines away, and values out of details and encoded paths', () => {
    const redacted = redact(
      record({
        context: { name: 'José Núñez' },
        errors: ['owner-read: "José Núñez" has no attribute', 'José Núñez'],
        detail: 'the name José Núñez is too long',
        request: { id: 'x', path: '/people/Jos%C3%A9%20N%C3%BA%C3%B1ez/cards' },
      }),
      'context.name',
    )
    assert.deepEqual(redacted.errors, ['owner-read: (redacted)', '(redacted)'])
    assert.doesNotMatch(JSON.stringify(redacted), /Jos/)
  })

  test('leaves nothing of a value that {*rest} took', () => {
    const redacted = redact(
      record({
        resource: { type: 'File', id: 'home/alice/tax' },
        request: { id: 'x', path: '/files/home/alice/tax' },
      }),
      'resource.id',
    )
    assert.doesNotMatch(JSON.stringify([redacted.resource, redacted.request]), /alice/)
  })

  const mistakes: Readonly<Record<string, RegExp>> = {
    '': /expected a place in the record/,
    'context.': /expected a place in the record/,
    'contxt.ssn': /did you mean.*context|context/,
    'evaluations.reasons': /expected one of subject/,
    'inputs."body.ssn': /expected a place in the record/,
    decision: /expected one of/,
  }
  for (const [text, message] of Object.entries(mistakes)) {
    test(`does not know the place ${JSON.stringify(text)}`, () => {
      const path = parseRedactPath(text)
      assert.ok('problem' in path)
      assert.match(path.problem, message)
    })
  }

  test('takes keys with dots in quotes', () => {
    assert.deepEqual(parseRedactPath('inputs."body.ssn"'), ['inputs', 'body.ssn'])
    assert.deepEqual(parseRedactPath("inputs.'path.id'"), ['inputs', 'path.id'])
  })
})

describe('a filter', () => {
  const accepts = (filter: Parameters<typeof createFilter>[0], more: Partial<DecisionRecord> = {}): boolean =>
    createFilter(filter)(record(more))

  test('lets through what all of its lists name', () => {
    assert.equal(accepts({}), true)
    assert.equal(accepts({ decisions: ['allow'], routes: ['read-account'] }), true)
    assert.equal(accepts({ decisions: ['deny'] }), false)
    assert.equal(accepts({ decisions: ['allow'], codes: ['denied'] }), false)
    assert.equal(accepts({ routes: ['other'] }), false)
  })

  test('gives whoever got an allow also the record that takes it back', () => {
    const failed = { decision: 'deny', code: 'upstream_unavailable', follows: 'an earlier one' } as const
    assert.equal(accepts({ decisions: ['allow'] }, failed), true)
    assert.equal(accepts({ codes: ['allowed'] }, failed), true)
    assert.equal(accepts({ codes: ['denied'] }, failed), false)
    assert.equal(accepts({ decisions: ['allow'], routes: ['other'] }, failed), false)
  })
})

describe('a sink of any kind', () => {
  const written: string[] = []
  const bare = {
    name: 'audit[0]',
    write: (line: string) => {
      written.push(line)
      return true as const
    },
    close: () => undefined,
  }

  test('gets only what its filter names, and sees it redacted', () => {
    const sink = guarded(bare, {
      accepts: createFilter({ decisions: ['deny'] }),
      redact: createRedaction([pathOf('subject.id')], KEY),
    })
    const allowed = record()
    const denied = record({ decision: 'deny', code: 'denied' })
    for (const each of [allowed, denied]) assert.equal(sink.write(JSON.stringify(each), each), true)
    assert.equal(written.length, 1)
    const [line = ''] = written
    assert.equal(JSON.parse(line).subject.id, hashOf('alice'))
    assert.equal(JSON.parse(line).code, 'denied')
    assert.doesNotMatch(line, /alice/)
    assert.equal(sink.stats?.().written, 1)
  })
})
