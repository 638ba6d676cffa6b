import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { JsonObject } from '../../../src/core/json.ts'
import { isRefusal } from '../../../src/core/refusals.ts'
import { bindOne, contextPlan, plain } from './binding.ts'

const key = fc.constantFrom('a', 'b', 'c', 'constructor', '__proto__', 'toString', 'length', '0', 'x y')
const leaf = fc.oneof(fc.string(), fc.integer(), fc.double({ noNaN: true }), fc.boolean(), fc.constant(null))
const { object } = fc.letrec<{ object: unknown; value: unknown }>((tie) => ({
  value: fc.oneof({ depthSize: 'small' }, leaf, fc.array(tie('value'), { maxLength: 3 }), tie('object')),
  object: fc
    .array(fc.tuple(key, tie('value')), { maxLength: 5 })
    .map((entries) =>
      JSON.parse(
        `{${entries.map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v) ?? 'null'}`).join(',')}}`,
      ),
    ),
}))

const step = fc.tuple(key, fc.boolean(), fc.boolean()).map(([name, optional, bracket]) => {
  const identifier = /^[A-Za-z_]+$/.test(name)
  if (bracket || !identifier) return optional ? `[?${JSON.stringify(name)}]` : `[${JSON.stringify(name)}]`
  return optional ? `.?${name}` : `.${name}`
})
const root = fc.constantFrom('claims', 'body', 'subject.properties')
const chain = fc.tuple(root, fc.array(step, { maxLength: 4 })).map(([name, steps]) => name + steps.join(''))

const outcomeOf = (expression: string, data: JsonObject): unknown => {
  const identity = { subject: { type: 'User', id: 'alice', properties: data } }
  const bound = bindOne(contextPlan(expression), { claims: data, identity, body: JSON.stringify(data) })
  return isRefusal(bound) ? bound.refusal : plain(bound.accessRequests[0]?.context ?? {})
}

describe('an expression that only reads one place', () => {
  it('gives what CEL gives for it, and is refused where CEL is', () => {
    fc.assert(
      fc.property(chain, object, (text, data) => {
        // The arbitrary above makes objects alone.
        const json = data as JsonObject
        assert.deepEqual(outcomeOf(`$${text}`, json), outcomeOf(`$true ? ${text} : ${text}`, json))
      }),
      { numRuns: 700 },
    )
  })

  it('gives what CEL gives for the request, the credential and the route', () => {
    const sent = {
      query: '?a=1&b=x%20y',
      headers: ['X-A', 'é'],
      captures: { accountId: '42', constructor: 'c' },
    }
    const texts = [
      ...['id', 'method', 'scheme', 'host', 'path', 'ip', 'tls', 'time', 'query', 'query.b', 'query.?c'].map(
        (m) => `request.${m}`,
      ),
      'request.query["a"]',
      'request.headers.?none',
      ...[
        'type',
        'id',
        'issuer',
        'issuedAt',
        'expiresAt',
        'ageSeconds',
        'rotationDue',
        '?expiresAt',
        '?rotationDue',
      ].map((m) => `credential.${m}`),
      ...['name', 'owner', 'mode', 'engine', 'upstream'].map((m) => `route.${m}`),
      ...['type', 'id', 'properties'].map((m) => `subject.${m}`),
      'path',
      'path.accountId',
      'path.constructor',
      'path.?accountId',
    ]
    const captures = ['accountId', 'constructor']
    for (const text of texts) {
      const [direct, byCel] = [`$${text}`, `$true ? ${text} : ${text}`].map((expression) => {
        const bound = bindOne(contextPlan(expression, { captures }), sent)
        return isRefusal(bound) ? bound.refusal : plain(bound.accessRequests[0]?.context ?? {})
      })
      assert.deepEqual(direct, byCel, text)
    }
  })
})
