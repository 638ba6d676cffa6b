import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { JsonValue } from '../../../src/core/json.ts'
import type { Problem } from '../../../src/core/problem.ts'
import { compileClaims } from '../../../src/gateway/bind/claims.ts'
import { plain } from './binding.ts'

const compiled = (template: JsonValue) =>
  compileClaims(template, ['subject'], (problem) => assert.fail(problem.message))
const problems = (template: JsonValue): readonly Problem[] => {
  const found: Problem[] = []
  compileClaims(template, ['subject'], (problem) => found.push(problem))
  return found
}

describe('the mapping of claims to a subject', () => {
  const subject = compiled({
    type: 'User',
    id: '$claims.sub',
    properties: { groups: '$claims.?groups', admin: "$'admin' in claims.?groups.orValue([])" },
  })

  it('takes what the claims say', () => {
    assert.deepEqual(plain(subject({ sub: 'alice', groups: ['admin'] })), {
      type: 'User',
      id: 'alice',
      properties: { groups: ['admin'], admin: true },
    })
    assert.deepEqual(plain(subject({ sub: 'alice' })), {
      type: 'User',
      id: 'alice',
      properties: { admin: false },
    })
  })

  it('refuses when a claim is missing that is not optional', () => {
    assert.deepEqual(subject({ groups: [] }), {
      refusal: 'denied',
      stage: 'authenticate',
      detail: 'subject.id: claims.sub is missing',
    })
  })

  it('is not misled by a claim that looks like a refusal', () => {
    const whole = compiled({ id: '$claims.sub', properties: { all: '$claims' } })
    const claims = { sub: 'a', refusal: 'x' }
    assert.deepEqual(plain(whole(claims)), { id: 'a', properties: { all: claims } })
  })

  it('sees claims and nothing else', () => {
    for (const name of ['request', 'path', 'subject', 'credential', 'body', 'route', 'secrets', 'token']) {
      const [problem] = problems({ id: `$${name}.id` })
      assert.deepEqual(problem?.path, ['subject', 'id'])
      assert.match(problem?.message ?? '', /expected claims/)
    }
  })

  it('is told of its mistakes at their place', () => {
    assert.deepEqual(problems({ id: '$clams.sub' })[0]?.offset, 1)
    assert.deepEqual(problems({ id: 'x', properties: { a: ['$claims.'] } })[0]?.path, [
      'subject',
      'properties',
      'a',
      0,
    ])
    assert.equal(problems('$claims').length, 1)
    assert.equal(problems({ refusal: 'x' }).length, 1)
  })
})
