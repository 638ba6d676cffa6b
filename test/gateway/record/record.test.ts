import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import type { RecordEntry } from '../../../src/core/record-entry.ts'
import { isRefusal, refuse } from '../../../src/core/refusals.ts'
import type { DecisionRecord } from '../../../src/gateway/record/decision-record.ts'
import { createRecord } from '../../../src/gateway/record/record.ts'
import type { Sink } from '../../../src/gateway/record/sinks/sink.ts'
import { allowedEntry, fileSink, fixedClock, guarded, linesOf, temporaryFolder } from './samples.ts'

const memorySink = (options: { fails?: () => boolean; required?: boolean; name?: string } = {}) => {
  const { fails = () => false, required = true, name = 'memory' } = options
  const lines: string[] = []
  const sink: Sink = {
    name,
    required,
    write: (line) => {
      if (fails()) return { failed: 'ENOSPC' }
      lines.push(line)
      return true
    },
    close: () => undefined,
  }
  return { sink, lines }
}

const WRITER = { configVersion: 'sha256:config', writer: 'gw-1.0', clock: fixedClock }

const recordWith = (...sinks: readonly Sink[]) => createRecord({ sinks, ...WRITER }).write

const recorded = (entry: RecordEntry): { line: string; record: DecisionRecord } => {
  const { sink, lines } = memorySink()
  assert.equal(recordWith(sink)(entry), true)
  const [line = ''] = lines
  return { line, record: JSON.parse(line) }
}

test('an allowed request is one line with every field in the documented order', () => {
  const { line } = recorded(allowedEntry())
  assert.equal(
    line,
    '{"v":1,"id":"0193aaaa-0000-7000-8000-000000000001","time":"2026-11-23T22:10:00.123Z","decision":"allow","code":"allowed","source":"engine",' +
      '"subject":{"type":"User","id":"alice"},"credential":{"type":"jwt","authenticator":"staff","id":"token-1","ageSeconds":12,"issuer":"https://idp.example.com"},' +
      '"action":{"name":"read"},"resource":{"type":"Account","id":"42"},"context":{"sensitivity":"high"},' +
      '"route":"read-account","owner":"payments","engine":"bank","policyVersion":"sha256:policy","configVersion":"sha256:config",' +
      '"reasons":["owner-read"],"grant":{"id":"grant-key","expires":"2026-11-23T22:10:15.123Z"},"inputs":{"path.accountId":"42"},' +
      '"request":{"id":"0193aaaa-0000-7000-8000-000000000001","method":"GET","host":"bank.example.com","path":"/accounts/42","ip":"192.0.2.7"},' +
      '"latencyUs":{"authenticate":40,"decide":180},"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","writer":"gw-1.0"}',
  )
})

test('a policy that says no is a deny with code denied and the engine as its source', () => {
  const { record } = recorded({
    ...allowedEntry(),
    outcome: {
      decision: 'deny',
      reasons: [],
      errors: ['policy x failed'],
      source: 'engine',
      policyVersion: 'p',
    },
  })
  const { decision, code, source, reasons, errors, grant } = record
  assert.deepEqual(
    { decision, code, source, reasons, errors, grant },
    {
      decision: 'deny',
      code: 'denied',
      source: 'engine',
      reasons: [],
      errors: ['policy x failed'],
      grant: undefined,
    },
  )
})

test('a refusal at the door is a deny by its stage, without what is unknown', () => {
  const entry = allowedEntry()
  const { line } = recorded({
    ...entry,
    outcome: refuse('accept', 'bad_request', 'dot segment'),
    request: { id: entry.id, method: 'GET', host: '', path: '/a/../b', ip: '192.0.2.7', receivedAtMs: 0 },
    route: null,
    identity: null,
    bound: null,
    latencyUs: {},
  })
  assert.equal(
    line,
    `{"v":1,"id":"${entry.id}","time":"2026-11-23T22:10:00.123Z","decision":"deny","code":"bad_request","source":"accept","detail":"dot segment",` +
      `"configVersion":"sha256:config","request":{"id":"${entry.id}","method":"GET","path":"/a/../b","ip":"192.0.2.7"},"latencyUs":{},"writer":"gw-1.0"}`,
  )
})

test('a public route has neither subject nor question, and the route as its source', () => {
  const entry = allowedEntry()
  assert.ok(entry.route !== null && entry.bound !== null)
  const { record } = recorded({
    ...entry,
    outcome: { decision: 'allow', reasons: [], errors: [], source: 'route', policyVersion: '' },
    route: { ...entry.route, access: 'public', engine: '', authenticate: [] },
    identity: null,
    bound: { ...entry.bound, accessRequests: [], inputs: {} },
  })
  const { code, source, subject, action, engine, policyVersion, inputs } = record
  assert.deepEqual(
    { code, source, subject, action, engine, policyVersion, inputs },
    {
      code: 'allowed',
      source: 'route',
      subject: undefined,
      action: undefined,
      engine: undefined,
      policyVersion: undefined,
      inputs: undefined,
    },
  )
})

test('several questions are evaluations with an answer each, in place of the single fields', () => {
  const entry = allowedEntry()
  assert.ok(entry.bound !== null)
  const subject = { type: 'User', id: 'alice' }
  const question = (id: string) => ({
    subject,
    action: { name: 'transfer' },
    resource: { type: 'Account', id },
    context: { amountCents: 5 },
  })
  const { record } = recorded({
    ...entry,
    outcome: {
      decision: 'deny',
      reasons: ['own'],
      errors: [],
      source: 'engine',
      policyVersion: 'p',
      evaluations: [
        { decision: 'allow', reasons: ['own'], errors: [] },
        { decision: 'deny', reasons: [], errors: [] },
      ],
    },
    bound: {
      ...entry.bound,
      batch: true,
      accessRequests: [
        question('1'),
        { ...question('2'), subject: { ...subject, properties: { as: 'payer' } } },
      ],
    },
  })
  const { action, resource, context } = record
  assert.deepEqual(
    { action, resource, context },
    { action: undefined, resource: undefined, context: undefined },
  )
  const common = { action: { name: 'transfer' }, context: { amountCents: 5 } }
  assert.deepEqual(record.evaluations, [
    { ...common, resource: { type: 'Account', id: '1' }, decision: 'allow', reasons: ['own'] },
    {
      ...common,
      subject: { type: 'User', id: 'alice', properties: { as: 'payer' } },
      resource: { type: 'Account', id: '2' },
      decision: 'deny',
      reasons: [],
    },
  ])
})

test('a later record of the same request names the earlier one', () => {
  const { record } = recorded({
    ...allowedEntry(),
    id: 'second',
    follows: 'first',
    outcome: refuse('enforce', 'upstream_timeout', 'no answer in 30 s'),
  })
  assert.deepEqual(
    [record.id, record.follows, record.code, record.source, record.request.id],
    ['second', 'first', 'upstream_timeout', 'enforce', '0193aaaa-0000-7000-8000-000000000001'],
  )
})

const unrecorded = {
  claims: 'claims-are-not-recorded',
  'the query string': 'query-strings-are-not-recorded',
  'headers that the route sets': 'set-headers-are-not-recorded',
  'the body': 'bodies-are-not-recorded',
  'the digest of the credential': 'digest-of-the-token',
}
for (const [what, text] of Object.entries(unrecorded)) {
  test(`a record does not hold ${what}`, () => {
    assert.ok(!recorded(allowedEntry()).line.includes(text))
  })
}

const targets: Readonly<Record<string, readonly [sent: string, kept: string]>> = {
  'a query': ['/a?access_token=secret', '/a'],
  'a fragment': ['/a#access_token=secret', '/a'],
  'user information': ['http://alice:secret@host/a', 'host/a'],
  'user information with a slash': ['http://alice:sec/secret@host/a', 'host/a'],
}
for (const [what, [sent, kept]] of Object.entries(targets)) {
  test(`the path of a refused target is recorded without ${what}`, () => {
    const entry = allowedEntry()
    const { line, record } = recorded({ ...entry, request: { ...entry.request, path: sent } })
    assert.equal(record.request.path, kept)
    assert.ok(!line.includes('secret'))
  })
}

test('whatever a request holds, its record is one line of valid UTF-8 JSON that says it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (host, id) => {
      const entry = allowedEntry()
      const { line, record } = recorded({
        ...entry,
        request: { ...entry.request, host: `h${host}` },
        identity: entry.identity && { ...entry.identity, subject: { type: 'User', id } },
        bound: null,
      })
      assert.ok(!line.includes('\n'))
      const bytes = Buffer.from(line)
      assert.equal(new TextDecoder('utf-8', { fatal: true }).decode(bytes), line)
      assert.equal(record.request.host, `h${host}`)
      assert.equal(record.subject?.id, id)
    }),
  )
})

test('text without end is cut', () => {
  const entry = allowedEntry()
  const { line } = recorded({ ...entry, request: { ...entry.request, path: `/${'a'.repeat(10_000_000)}` } })
  assert.ok(line.length < 100_000)
})

test('a required sink that fails makes audit_unavailable, which names the sink and the failure', () => {
  const { sink } = memorySink({ fails: () => true, name: 'audit[1]' })
  const result = recordWith(sink)(allowedEntry())
  assert.ok(result !== true && isRefusal(result))
  assert.deepEqual(result, { refusal: 'audit_unavailable', stage: 'record', detail: 'audit[1]: ENOSPC' })
})

test('a sink that is not required may fail', () => {
  const { sink } = memorySink({ fails: () => true, required: false })
  const other = memorySink()
  assert.equal(recordWith(sink, other.sink)(allowedEntry()), true)
  assert.equal(other.lines.length, 1)
})

test('a sink that has taken an allow, when another then fails, is told that it was not acted upon', () => {
  const first = memorySink()
  const result = recordWith(first.sink, memorySink({ fails: () => true }).sink)(allowedEntry())
  assert.ok(result !== true)
  const [allowed, withdrawn] = first.lines.map((line): DecisionRecord => JSON.parse(line))
  assert.equal(allowed?.decision, 'allow')
  assert.deepEqual(
    [withdrawn?.follows, withdrawn?.decision, withdrawn?.code, withdrawn?.source],
    [allowed?.id, 'deny', 'audit_unavailable', 'record'],
  )
})

/** Two entries that are held, and what is told of them. */
const holdTwo = (sink: Sink) => {
  const onRecorded: string[] = []
  const told: unknown[] = []
  const stage = createRecord({ sinks: [sink], ...WRITER, onRecorded: (line) => onRecorded.push(line) })
  const held = ['one', 'two'].map((id) => {
    const each = stage.hold?.({ ...allowedEntry(), id }, (result) => told.push(result))
    assert.ok(each !== undefined && 'settle' in each)
    return each
  })
  return { onRecorded, told, held }
}

test('records that are held are kept with the first of them that is settled, as they would be if each was written', (t) => {
  const folder = temporaryFolder(t)
  const parts = {
    plain: {},
    'made less telling': {
      redact: (record: DecisionRecord): DecisionRecord => ({ ...record, request: { id: '' } }),
    },
    'of another shape': { reshape: ({ id, writer }: DecisionRecord) => ({ id, writer }) },
    'not for the sink': { accepts: ({ id }: DecisionRecord) => id !== 'one' },
  }
  for (const [what, options] of Object.entries(parts)) {
    const [one, other] = [join(folder, `${what}.held`), join(folder, `${what}.written`)]
    const sink = guarded(fileSink(one), options)
    const { onRecorded, told, held } = holdTwo(sink)
    assert.equal(held[1]?.settle(), true)
    assert.deepEqual(told, [true, true])
    assert.equal(held[0]?.settle(), true)
    assert.deepEqual(
      onRecorded.map((line): string => JSON.parse(line).id),
      ['one', 'two'],
    )
    const writing = guarded(fileSink(other), options)
    for (const id of ['one', 'two']) assert.equal(recordWith(writing)({ ...allowedEntry(), id }), true)
    assert.deepEqual(linesOf(one), linesOf(other))
    assert.deepEqual(sink.stats?.(), writing.stats?.())
    for (const each of [sink, writing]) each.close()
  }
})

test('records that are held and cannot be kept refuse each of their requests, and are told to nobody else', () => {
  const sink = guarded(fileSink('/dev/full'))
  const { onRecorded, told, held } = holdTwo(sink)
  const refusal = { refusal: 'audit_unavailable', stage: 'record', detail: 'audit[0]: ENOSPC' }
  assert.deepEqual(
    held.map((each) => each.settle()),
    [refusal, refusal],
  )
  assert.deepEqual([told, onRecorded], [[refusal, refusal], []])
  assert.deepEqual(held[0]?.settle(), refusal)
  assert.equal(told.length, 2)
  assert.equal(sink.stats?.().failed, 2)
  sink.close()
})

test('records that are held and cannot be kept refuse nothing where the sink is not required', () => {
  const sink = guarded(fileSink('/dev/full'), { required: false })
  const { told, held } = holdTwo(sink)
  assert.equal(held[1]?.settle(), true)
  assert.deepEqual(told, [true, true])
  assert.equal(sink.stats?.().dropped, 2)
  sink.close()
})

test('nothing is held for several sinks', () => {
  const file = guarded(fileSink('/dev/null'))
  assert.equal(createRecord({ sinks: [file, memorySink().sink], ...WRITER }).hold, undefined)
  file.close()
})

test('a sink that writes each record by itself says at once what became of it', () => {
  let fails = false
  const { sink, lines } = memorySink({ fails: () => fails })
  const { hold } = createRecord({ sinks: [sink], ...WRITER })
  const told: unknown[] = []
  const holdOne = () => hold?.(allowedEntry(), (result) => told.push(result))
  const kept = holdOne()
  assert.ok(kept !== undefined && 'settle' in kept)
  assert.equal(kept.settle(), true)
  assert.equal(lines.length, 1)
  fails = true
  const refusal = { refusal: 'audit_unavailable', stage: 'record', detail: 'memory: ENOSPC' }
  assert.deepEqual(holdOne(), refusal)
  assert.deepEqual(told, [true, refusal])
})

test('what is held goes to the sink that is there by then, as after an edit', (t) => {
  const folder = temporaryFolder(t)
  const [one, other] = ['one', 'other'].map((name) => join(folder, name)) as [string, string]
  let inner = guarded(fileSink(one))
  const sink = new Proxy(inner, { get: (_first, key) => Reflect.get(inner, key) })
  const { hold } = createRecord({ sinks: [sink], ...WRITER })
  const before = hold?.(allowedEntry(), () => undefined)
  inner.close()
  inner = guarded(fileSink(other))
  const after = hold?.(allowedEntry(), () => undefined)
  for (const each of [before, after])
    assert.equal(each !== undefined && 'settle' in each && each.settle(), true)
  assert.deepEqual([linesOf(one).length, linesOf(other).length], [1, 1])
  inner.close()
})
