import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { AccessRequest } from '../../../../src/core/access-request.ts'
import type { Credential } from '../../../../src/core/identity.ts'
import type { JsonObject, JsonValue } from '../../../../src/core/json.ts'
import { type GrantScope, grantKey, grantScopeText } from '../../../../src/gateway/decide/grants/grant-key.ts'

const scope: GrantScope = {
  route: 'read-account',
  engine: 'bank',
  engineType: 'cedar',
  mappingHash: 'm1',
  configuration: '',
  grant: { ttlMs: 15_000, denyTtlMs: 0, quantiseMs: null },
}
const credential: Credential = {
  type: 'jwt',
  authenticator: 'staff',
  id: 'j1',
  digest: 'd1',
  expiresAt: 2_000_000_000,
}
const request: AccessRequest = {
  subject: { type: 'User', id: 'alice' },
  action: { name: 'read' },
  resource: { type: 'Account', id: '42' },
  context: { sensitivity: 'high' },
}

interface Parts {
  readonly scope: GrantScope
  readonly policyVersion: string
  readonly credential: Credential
  readonly requests: readonly AccessRequest[]
}

const parts: Parts = { scope, policyVersion: 'sha256:a', credential, requests: [request] }

const keyOf = (changed: Partial<Parts>): string => {
  const all = { ...parts, ...changed }
  const subject = all.requests[0]?.subject ?? request.subject
  const identity = { credential: all.credential, subject }
  return grantKey(grantScopeText(all.scope), all.policyVersion, identity, all.requests)
}

describe('a grant key', () => {
  it('is the same for the same question, whatever the order of its keys', () => {
    const context = { a: 1, b: { c: [1, 2], d: 'x' } }
    const turned = { b: { d: 'x', c: [1, 2] }, a: 1 }
    const turnedRequest = {
      context: turned,
      resource: { id: '42', type: 'Account' },
      action: request.action,
      subject: request.subject,
    }
    assert.equal(keyOf({ requests: [{ ...request, context }] }), keyOf({ requests: [turnedRequest] }))
  })

  it('is the same whether subject and credential are those of an earlier request or others like them', () => {
    const requests = [{ ...request, subject: { ...request.subject } }]
    const again = { ...parts, credential: { ...credential }, requests }
    assert.equal(keyOf({}), keyOf(again))
    const others = { credential, subject: { type: 'User', id: 'bob' } }
    assert.equal(
      grantKey(grantScopeText(scope), parts.policyVersion, others, parts.requests),
      keyOf({}),
      'the question has the subject, whoever the caller is',
    )
  })

  const changes: Readonly<Record<string, Partial<Parts>>> = {
    'another route': { scope: { ...scope, route: 'read-accounts' } },
    'another configuration of the engine': { scope: { ...scope, configuration: 'c2' } },
    'another mapping of the route': { scope: { ...scope, mappingHash: 'm2' } },
    'another ttl': { scope: { ...scope, grant: { ...scope.grant, ttlMs: 1 } } },
    'another denyTtl': { scope: { ...scope, grant: { ...scope.grant, denyTtlMs: 1 } } },
    'another rounding': { scope: { ...scope, grant: { ...scope.grant, quantiseMs: 1 } } },
    'another engine': { scope: { ...scope, engine: 'infra' } },
    'another kind of engine by the same name': { scope: { ...scope, engineType: 'opa' } },
    'another policy version': { policyVersion: 'sha256:b' },
    'another credential': { credential: { ...credential, digest: 'd2' } },
    'another authenticator': { credential: { ...credential, authenticator: 'partners' } },
    'another end of the credential': { credential: { ...credential, expiresAt: 2_000_000_001 } },
    'another subject': { requests: [{ ...request, subject: { type: 'User', id: 'bob' } }] },
    'another type of subject': { requests: [{ ...request, subject: { type: 'Robot', id: 'alice' } }] },
    'another property of the subject': {
      requests: [{ ...request, subject: { ...request.subject, properties: {} } }],
    },
    'another action': { requests: [{ ...request, action: { name: 'write' } }] },
    'another property of the action': {
      requests: [{ ...request, action: { name: 'read', properties: { soft: true } } }],
    },
    'another resource': { requests: [{ ...request, resource: { type: 'Account', id: '43' } }] },
    'a number for a string': { requests: [{ ...request, context: { sensitivity: 1 } }] },
    'its digits': { requests: [{ ...request, context: { sensitivity: '1' } }] },
    'no context': { requests: [{ ...request, context: {} }] },
    'one question more': { requests: [request, request] },
    'no question': { requests: [] },
  }
  it('differs from every other by anything that the engine or the route could see', () => {
    const keys = [keyOf({}), ...Object.values(changes).map(keyOf)]
    assert.equal(new Set(keys).size, Object.keys(changes).length + 1)
  })

  // Advisory 26, Traefik CVE-2026-71326: `password + secret` as a key lets one part end where another begins.
  it('does not let one part end where another begins', () => {
    const split = (type: string, id: string): string =>
      keyOf({ requests: [{ ...request, subject: { type, id } }] })
    assert.notEqual(split('User', 'alice'), split('Usera', 'lice'))
    assert.notEqual(split('User', 's5:alice'), split('Users5', ':alice'))
    assert.notEqual(
      keyOf({ credential: { ...credential, authenticator: 'a', digest: 'bc' } }),
      keyOf({ credential: { ...credential, authenticator: 'ab', digest: 'c' } }),
    )
    assert.notEqual(
      keyOf({ scope: { ...scope, route: 'a', mappingHash: 'bc' } }),
      keyOf({ scope: { ...scope, route: 'ab', mappingHash: 'c' } }),
    )
  })

  it('is equal only for equal questions', () => {
    // Few values on purpose, so that equal ones come up too.
    const word = fc.constantFrom('', 'a', 'b', 'ab', 'a:b', 's1:a', '1', 'é', 'e\u0301', '__proto__')
    const { value } = fc.letrec<{ value: JsonValue }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 2 },
        word,
        fc.constantFrom(null, true, 0, 1),
        fc.array(tie('value'), { maxLength: 2 }),
        fc.dictionary(word, tie('value'), { maxKeys: 2, noNullPrototype: true }),
      ),
    }))
    const object = fc.dictionary(word, value, {
      maxKeys: 2,
      noNullPrototype: true,
    }) as fc.Arbitrary<JsonObject>
    const thing = fc.record(
      { type: word, id: word, properties: object },
      { requiredKeys: ['type', 'id'], noNullPrototype: true },
    )
    const requests = fc.array(
      fc.record(
        {
          subject: thing,
          action: fc.record(
            { name: word, properties: object },
            { requiredKeys: ['name'], noNullPrototype: true },
          ),
          resource: thing,
          context: object,
        },
        { noNullPrototype: true },
      ),
      { minLength: 1, maxLength: 2 },
    )
    const isEqual = (left: unknown, right: unknown): boolean => {
      try {
        assert.deepStrictEqual(left, right)
        return true
      } catch {
        return false
      }
    }
    fc.assert(
      fc.property(requests, requests, fc.boolean(), (left, other, same) => {
        const right = same ? structuredClone(left) : other
        assert.equal(keyOf({ requests: left }) === keyOf({ requests: right }), isEqual(left, right))
      }),
      { numRuns: 300 },
    )
  })
})
