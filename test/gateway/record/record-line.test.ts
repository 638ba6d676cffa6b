import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { Decision } from '../../../src/core/decision.ts'
import type { RecordEntry } from '../../../src/core/record-entry.ts'
import { refuse } from '../../../src/core/refusals.ts'
import { decisionRecord } from '../../../src/gateway/record/record.ts'
import { createRecordLine } from '../../../src/gateway/record/record-line.ts'
import { allowedEntry, fixedClock, NOW_MS } from './samples.ts'

const by = { configVersion: 'sha256:config', writer: 'gw-"1".0', clock: fixedClock }
const at = (nowMs: number) => ({ ...by, clock: { ...fixedClock, nowMs: () => nowMs } })

const granted = (reason: string, more: Partial<Decision> = {}): Decision => ({
  decision: 'allow',
  reasons: [reason],
  errors: [],
  source: 'grant',
  policyVersion: 'sha256:policy',
  grant: { id: `grant of ${reason}`, expiresAtMs: NOW_MS + 15_000 },
  ...more,
})

const plain = allowedEntry()
const bounds = ['"quoted"\u2028', 'b'].map((id) => ({
  ...(plain.bound ?? assert.fail()),
  accessRequests: [
    { subject: { type: 'User', id }, action: { name: 'read' }, resource: { type: 'A', id }, context: { id } },
  ],
  inputs: { 'path.id': id },
  isKept: true,
}))
const batch = { ...(bounds[0] ?? assert.fail()), batch: true, inputs: {} }
const decisions = [
  granted('one'),
  granted('two', { advice: ['said'], evaluations: [{ decision: 'allow', reasons: ['x'], errors: [] }] }),
  granted('deny', { decision: 'deny' }),
  granted('asked', { source: 'engine' }),
  granted('shadowed', { shadow: { engine: 'other', agrees: false } }),
]
const identity = plain.identity ?? assert.fail()
const { issuedAt: _issuedAt, issuer: _issuer, ...bare } = identity.credential
const identities = [
  identity,
  { ...identity },
  ...[
    bare,
    { ...bare, issuedAt: Number.NEGATIVE_INFINITY },
    { ...bare, issuedAt: 1.5, issuer: '"https"\u2028' },
  ].map((credential) => ({ ...identity, credential })),
  null,
]
const text = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string(),
  fc.constantFrom('', '"', '\\', '\u007f', '\ud800'),
)
const number = fc.oneof(fc.nat(), fc.double(), fc.constantFrom(-0, 1e21, Number.POSITIVE_INFINITY))
const routes = [plain.route, { ...(plain.route ?? assert.fail()), name: 'other', mode: 'observe' as const }]

const entry = fc
  .record({
    bound: fc.constantFrom(...bounds, batch, plain.bound, null),
    outcome: fc.constantFrom(...decisions, refuse('enforce', 'upstream_timeout', 'no answer')),
    identity: fc.constantFrom(...identities),
    route: fc.constantFrom(...routes, null),
    id: fc.uuid(),
    facts: fc.record({ host: text, path: text, ip: text, method: fc.constantFrom('GET', 'M-SEARCH', '') }),
    latencyUs: fc.dictionary(text, number),
    waitedMs: fc.nat(5000),
    traceparent: fc.constantFrom(undefined, '"', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'),
    own: fc.constantFrom<Partial<RecordEntry>>(
      {},
      {},
      { follows: 'earlier' },
      { observed: true },
      { coalesced: { count: 3, sinceMs: NOW_MS } },
      { stream: { kind: 'websocket', reason: 'revoked', lifeMs: 5, bytesIn: 1, bytesOut: 2 } },
    ),
  })
  .map(({ id, facts, traceparent, waitedMs, own, ...parts }) => {
    const request = { ...plain.request, ...facts, id, traceparent }
    const made: RecordEntry = { ...plain, ...parts, id, request, ...own }
    return { made, nowMs: NOW_MS + waitedMs }
  })

describe('the line of a record', () => {
  it('is its JSON, whatever was remembered of the lines before it', () => {
    fc.assert(
      fc.property(fc.array(entry, { minLength: 1, maxLength: 60 }), (entries) => {
        const lineOf = createRecordLine()
        for (const { made, nowMs } of entries) {
          const record = decisionRecord(made, at(nowMs))
          assert.equal(lineOf(record, made), JSON.stringify(record))
        }
      }),
      { numRuns: 300 },
    )
  })

  it('is made of what was remembered where one grant serves one question again', () => {
    const lineOf = createRecordLine()
    const first = { ...plain, bound: bounds[0] ?? assert.fail(), outcome: granted('one') }
    const record = decisionRecord(first, by)
    assert.equal(lineOf(record, first), JSON.stringify(record))
    // What cannot be: it shows that the text is not made again.
    assert.match(lineOf({ ...record, policyVersion: 'another' }, first), /"policyVersion":"sha256:policy"/)
  })
})
