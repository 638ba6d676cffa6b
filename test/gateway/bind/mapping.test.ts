import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { askedOf, boundOf, codeOf, contextPlan, mapped, NOW_MS, plain, planOf, refusalOf } from './binding.ts'

describe('an evaluation', () => {
  const readAccount = planOf({
    evaluation: {
      action: 'read',
      resource: { type: 'Account', id: '$path.accountId' },
      context: { sensitivity: 'high', mfa: "$'mfa' in claims.?amr.orValue([])" },
    },
  })

  it('becomes the access request of the request', () => {
    assert.deepEqual(askedOf(readAccount, { claims: { sub: 'alice', amr: ['pwd', 'mfa'] } }), {
      subject: { type: 'User', id: 'alice' },
      action: { name: 'read' },
      resource: { type: 'Account', id: '42' },
      context: { sensitivity: 'high', mfa: true },
    })
  })

  it('takes the default of an optional claim that is not there', () => {
    assert.equal(askedOf(readAccount, { claims: { sub: 'alice' } }).context.mfa, false)
  })

  it('says what was read, for the record', () => {
    const { inputs } = boundOf(readAccount, { claims: { sub: 'alice', amr: ['mfa'], other: 1 } })
    assert.deepEqual(plain(inputs), { 'path.accountId': '42', 'claims.amr': ['mfa'] })
  })

  it('takes everything but what the route adds from the authenticator', () => {
    const plan = planOf({
      evaluation: {
        subject: { properties: { tenant: '$claims.tenant', level: 3 } },
        action: 'read',
        resource: { type: 'Account', id: '1' },
      },
    })
    const identity = { subject: { type: 'User', id: 'alice', properties: { groups: ['a'] } } }
    assert.deepEqual(askedOf(plan, { claims: { tenant: 'x' }, identity }).subject, {
      type: 'User',
      id: 'alice',
      properties: { groups: ['a'], tenant: 'x', level: 3 },
    })
  })

  it('never lets a route replace what the authenticator says', () => {
    const plan = planOf({
      evaluation: {
        subject: { properties: { groups: ['admin'] } },
        action: 'read',
        resource: { type: 'Account', id: '1' },
      },
    })
    const identity = { subject: { type: 'User', id: 'alice', properties: { groups: ['a'] } } }
    assert.equal(refusalOf(plan, { identity }).refusal, 'denied')
  })

  it('has properties of action and resource, nested and of every type', () => {
    const plan = planOf({
      evaluation: {
        action: { name: '$request.method', properties: { safe: true } },
        resource: {
          type: 'Account',
          id: '1',
          properties: { deep: { list: [1, '$path.accountId', '$$x', '$claims.?none'] }, off: false, zero: 0 },
        },
      },
    })
    assert.deepEqual(askedOf(plan).action, { name: 'GET', properties: { safe: true } })
    assert.deepEqual(askedOf(plan).resource.properties, {
      deep: { list: [1, '42', '$x'] },
      off: false,
      zero: 0,
    })
  })

  it('has no properties where an optional left the only one out', () => {
    const plan = planOf({
      evaluation: { action: 'read', resource: { type: 'A', id: '1', properties: { x: '$claims.?none' } } },
    })
    assert.deepEqual(askedOf(plan).resource, { type: 'A', id: '1' })
  })

  it('is made once when it is the same for every request', () => {
    const plan = planOf({
      evaluation: { action: 'read', resource: { type: 'A', id: '1', properties: { x: [1] } } },
    })
    const [first] = boundOf(plan).accessRequests
    const [second] = boundOf(plan).accessRequests
    assert.equal(first?.resource, second?.resource)
    assert.throws(() => Object.assign(first?.resource ?? {}, { id: '2' }), TypeError)
  })
})

describe('evaluations', () => {
  const transfer = planOf({
    captures: ['from'],
    evaluations: {
      action: 'transfer',
      context: { amountCents: '$body.amountCents' },
      evaluations: [
        { resource: { type: 'Account', id: '$path.from', properties: { side: 'debit' } } },
        { resource: { type: 'Account', id: '$body.to', properties: { side: 'credit' } } },
        { resource: { type: 'Account', id: '7' }, action: { name: 'look' }, context: {} },
      ],
    },
  })
  const body = Buffer.from('{"to":"b","amountCents":5}')

  it('are one access request each; what an item names replaces the whole default', () => {
    const { accessRequests, batch } = boundOf(transfer, { captures: { from: 'a' }, body })
    const subject = { type: 'User', id: 'alice' }
    const action = { name: 'transfer' }
    const context = { amountCents: 5 }
    assert.equal(batch, true)
    assert.deepEqual(plain(accessRequests), [
      { subject, action, resource: { type: 'Account', id: 'a', properties: { side: 'debit' } }, context },
      { subject, action, resource: { type: 'Account', id: 'b', properties: { side: 'credit' } }, context },
      { subject, action: { name: 'look' }, resource: { type: 'Account', id: '7' }, context: {} },
    ])
  })

  it('forward the very bytes that were read', () => {
    assert.deepEqual(boundOf(transfer, { captures: { from: 'a' }, body }).body, body)
  })

  it('are refused as a whole when one of them cannot be mapped', () => {
    const sent = { captures: { from: 'a' }, body: '{"amountCents":5}' }
    assert.equal(refusalOf(transfer, sent).refusal, 'bad_request')
  })
})

describe('what is missing', () => {
  it('is 400 when the request lacks it', () => {
    assert.equal(codeOf('$path.accountId', { captures: {} }), 'bad_request')
    assert.equal(codeOf('$request.query.page'), 'bad_request')
    assert.equal(codeOf('$request.headers["x-tenant"]'), 'bad_request')
    assert.equal(codeOf('$body.to', { body: '{}' }), 'bad_request')
    assert.equal(codeOf('$body.a.b', { body: '{"a":{}}' }), 'bad_request')
    assert.equal(codeOf("$body.to + 'x'", { body: '{}' }), 'bad_request')
  })

  it('is 403 when who calls lacks it', () => {
    assert.equal(codeOf('$claims.tenant'), 'denied')
    assert.equal(codeOf('$claims.a.b', { claims: { a: {} } }), 'denied')
    assert.equal(codeOf('$subject.properties.tenant'), 'denied')
    assert.equal(codeOf("$claims.tenant + 'x'"), 'denied')
    const credential = { type: 'api-key', authenticator: 'p', id: 'k', digest: 'd' }
    assert.equal(codeOf('$credential.issuer', { identity: { credential } }), 'denied')
    assert.equal(codeOf('$credential.ageSeconds', { identity: { credential } }), 'denied')
  })

  it('blames what was really missing when an expression reads both', () => {
    const body = '{"x":"1"}'
    assert.equal(codeOf('$claims.tenant + body.x', { body }), 'denied')
    assert.equal(codeOf('$claims.tenant + body.y', { body, claims: { tenant: 't' } }), 'bad_request')
    assert.equal(codeOf('$body.y + claims.tenant', { body, claims: { tenant: 't' } }), 'bad_request')
    assert.equal(codeOf('$has(claims.a) ? claims.a : body.y', { body }), 'bad_request')
    assert.equal(codeOf('$claims.list.map(x, claims.none)', { claims: { list: [1] } }), 'denied')
  })

  it('is left out where the expression says that it is optional', () => {
    assert.equal(mapped('$claims.?tenant'), undefined)
    assert.equal(mapped('$claims.?a.b', { claims: { a: 'text' } }), undefined)
    assert.equal(mapped('$request.query.?page'), undefined)
    assert.equal(mapped('$request.headers.?accept'), undefined)
    assert.equal(mapped('$body.?to', { body: '{}' }), undefined)
    assert.equal(mapped('$claims.?tenant', { claims: { tenant: 't' } }), 't')
  })

  it('never becomes an id, even when it is optional', () => {
    const id = (text: string) => planOf({ evaluation: { action: 'read', resource: { type: 'A', id: text } } })
    assert.equal(refusalOf(id('$request.query.?id')).refusal, 'bad_request')
    assert.equal(refusalOf(id('$claims.?id')).refusal, 'denied')
  })

  it('includes null: no value, but present', () => {
    assert.equal(codeOf('$body.x', { body: '{"x":null}' }), 'bad_request')
    assert.equal(codeOf('$claims.x', { claims: { x: null } }), 'denied')
    assert.equal(mapped('$body.?x', { body: '{"x":null}' }), undefined)
    assert.equal(codeOf("$body.y == '1' ? body.x : body.y", { body: '{"x":null,"y":"1"}' }), 'bad_request')
  })

  it('is not hidden by names that every JavaScript object has', () => {
    for (const name of ['constructor', 'toString', 'hasOwnProperty', 'valueOf', 'isPrototypeOf']) {
      assert.equal(codeOf(`$claims.${name}`), 'denied', name)
      assert.equal(codeOf(`$claims.${name} == 'x'`), 'denied', name)
      assert.equal(codeOf(`$body.${name}`, { body: '{}' }), 'bad_request', name)
      assert.equal(mapped(`$claims.?${name}`), undefined, name)
      assert.equal(mapped(`$has(claims.${name})`), false, name)
      assert.equal(mapped(`$'${name}' in claims`), false, name)
    }
    assert.equal(codeOf('$claims.__proto__'), 'denied')
    assert.equal(codeOf('$claims["__proto__"] == 1'), 'denied')
  })

  it('is there when it was sent under such a name', () => {
    const claims = { constructor: 'c', toString: 't', nested: { constructor: { x: 1 } } }
    assert.equal(mapped('$claims.constructor', { claims }), 'c')
    assert.equal(mapped("$claims.toString + '!'", { claims }), 't!')
    assert.equal(mapped('$claims.nested.constructor.x == 1.0', { claims }), true)
    const body = '{"__proto__":{"admin":true},"constructor":1}'
    assert.equal(mapped('$body.__proto__.admin', { body }), true)
    assert.equal(codeOf('$body.admin', { body }), 'bad_request')
    assert.equal(mapped('$size(body) == 2', { body }), true)
  })
})

describe('an id, a type or the name of an action', () => {
  const plan = (id: string) => planOf({ evaluation: { action: 'read', resource: { type: 'A', id } } })
  const cases: ReadonlyMap<string, string> = new Map([
    ['a number', '{"id":42}'],
    ['true', '{"id":true}'],
    ['an empty string', '{"id":""}'],
    ['NUL', '{"id":"a\\u0000b"}'],
    ['a list', '{"id":["a"]}'],
    ['an object', '{"id":{"a":"b"}}'],
    ['null', '{"id":null}'],
  ])
  for (const [what, body] of cases) {
    it(`refuses ${what}, read directly or computed`, () => {
      assert.equal(refusalOf(plan('$body.id'), { body }).refusal, 'bad_request')
      assert.equal(refusalOf(plan('$[body.id][0]'), { body }).refusal, 'bad_request')
    })
  }

  it('refuses a claim that is not a string as a matter of who calls', () => {
    assert.equal(refusalOf(plan('$claims.id'), { claims: { id: 42 } }).refusal, 'denied')
  })

  it('refuses a capture with NUL', () => {
    assert.equal(
      refusalOf(plan('$path.accountId'), { captures: { accountId: 'a\0' } }).refusal,
      'bad_request',
    )
  })
})

describe('expressions', () => {
  it('start with a dollar; two stand for one, and other strings are literal', () => {
    assert.equal(mapped('$path.accountId'), '42')
    assert.equal(mapped('$$path.accountId'), '$path.accountId')
    assert.equal(mapped('$$$path.accountId'), '$$path.accountId')
    assert.equal(mapped('path.accountId'), 'path.accountId')
    assert.equal(mapped('costs $5'), 'costs $5')
    assert.equal(mapped('$$'), '$')
  })

  it('see the request', () => {
    const sent = { method: 'POST', query: '?a=1&b=x%20y+z', headers: ['X-Tenant', 'blue'] }
    assert.equal(mapped('$request.method', sent), 'POST')
    assert.equal(mapped('$request.path'), '/accounts/42')
    assert.equal(mapped('$request.host'), 'bank.example.com')
    assert.equal(mapped('$request.scheme'), 'https')
    assert.equal(mapped('$request.ip'), '192.0.2.7')
    assert.equal(mapped('$request.tls'), true)
    assert.equal(mapped('$request.query.b', sent), 'x y z')
    assert.deepEqual(mapped('$request.query', sent), { a: '1', b: 'x y z' })
    assert.equal(mapped('$request.headers["x-tenant"]', sent), 'blue')
    assert.equal(mapped('$request.time'), new Date(NOW_MS).toISOString())
    assert.equal(mapped('$request.time > timestamp("2020-01-01T00:00:00Z")'), true)
    assert.equal(mapped('$request.id'), '01935f6e-0000-7000-8000-000000000000')
  })

  it('see the identity and the route', () => {
    assert.equal(mapped('$subject.type + subject.id'), 'Useralice')
    assert.equal(mapped('$credential.type'), 'jwt')
    assert.equal(mapped('$credential.issuer'), 'https://idp.example.com')
    assert.equal(mapped('$credential.ageSeconds'), 90)
    assert.equal(mapped('$credential.ageSeconds < 100'), true)
    assert.equal(mapped('$credential.issuedAt'), Math.floor(NOW_MS / 1000) - 90)
    assert.equal(mapped("$route.name + '/' + route.owner"), 'read-account/payments')
  })

  it('take a fraction of a second in iat for what it is', () => {
    const credential = {
      type: 'jwt',
      authenticator: 's',
      id: 'x',
      digest: 'd',
      issuedAt: NOW_MS / 1000 - 1.5,
    }
    assert.equal(mapped('$credential.ageSeconds', { identity: { credential } }), 1)
    assert.equal(mapped('$credential.ageSeconds + 1', { identity: { credential } }), 2)
    assert.equal(mapped('$credential.issuedAt > 5', { identity: { credential } }), true)
  })

  it('count with the numbers of JSON and their own', () => {
    const body = '{"n":5,"half":0.5,"s":"x"}'
    assert.equal(mapped('$body.n + 1', { body }), 6)
    assert.equal(mapped('$1 + body.n', { body }), 6)
    assert.equal(mapped('$body.n * 2', { body }), 10)
    assert.equal(mapped('$body.n / 2', { body }), 2.5)
    assert.equal(mapped('$7 - body.half', { body }), 6.5)
    assert.equal(mapped('$body.n == 5 && body.n in [4, 5] && body.n >= 5', { body }), true)
    assert.equal(mapped('$int(path.accountId) + 1'), 43)
    assert.equal(codeOf('$body.s + 1', { body }), 'bad_request')
    assert.equal(codeOf('$claims.s + 1', { claims: { s: 'x' } }), 'denied')
  })

  it('give safe integers and finite numbers, or nothing', () => {
    assert.equal(mapped('$9007199254740991'), 9007199254740991)
    assert.equal(codeOf('$9007199254740993 + int(path.accountId)'), 'bad_request')
    assert.equal(codeOf('$body.n * 9007199254740991', { body: '{"n":3}' }), 'bad_request')
    assert.equal(codeOf('$body.n / 0', { body: '{"n":3}' }), 'bad_request')
    assert.equal(codeOf('$1 / int(path.accountId)', { captures: { accountId: '0' } }), 'bad_request')
    assert.equal(codeOf('$double(path.accountId)', { captures: { accountId: 'NaN' } }), 'bad_request')
  })

  it('give lists and maps, without what is absent', () => {
    assert.deepEqual(mapped("$[path.accountId, claims.?none, {'a': claims.?none, 'b': [1, 2u]}]"), [
      '42',
      { b: [1, 2] },
    ])
  })

  it('start anew for each request', () => {
    const plan = contextPlan('$body.items.filter(i, i > 1.0).map(i, [i] + body.items)')
    const first = askedOf(plan, { body: '{"items":[1,2]}' })
    assert.deepEqual(first.context.value, [[2, 1, 2]])
    assert.equal(refusalOf(plan, { body: '{"items":[1,"x"]}' }).refusal, 'bad_request')
    assert.deepEqual(askedOf(plan, { body: '{"items":[3]}' }).context.value, [[3, 3]])
    assert.deepEqual(askedOf(plan, { body: '{"items":[1,2]}' }), first)
  })

  it('give text that can be sent as JSON, or nothing', () => {
    const body = '{"emoji":"😀"}'
    assert.equal(mapped('$body.emoji', { body }), '😀')
    assert.equal(codeOf('$body.emoji.substring(1)', { body }), 'bad_request')
  })

  it('search patterns that were compiled beforehand', () => {
    assert.equal(mapped("$path.accountId.matches('^[0-9]+$')"), true)
    assert.equal(mapped("$claims.sub.matches('^b')"), false)
    assert.equal(codeOf("$claims.groups.matches('^b')", { claims: { groups: ['b'] } }), 'denied')
    assert.equal(codeOf("$body.x.matches('^b')", { body: '{"x":1}' }), 'bad_request')
  })
})

describe('a public route', () => {
  it('asks nothing, and still has headers and a rewrite', () => {
    const plan = planOf({
      access: 'public',
      headers: { 'X-Path': '$request.path' },
      rewrite: "$'/v2/' + path.accountId",
    })
    const bound = boundOf(plan, { identity: null })
    assert.deepEqual(bound.accessRequests, [])
    assert.deepEqual(bound.headers, ['X-Path', '/accounts/42'])
    assert.equal(bound.target, '/v2/42')
  })
})

describe('the refusal', () => {
  it('names what was read, and never its value', () => {
    const { detail } = refusalOf(contextPlan('$body.s + 1'), { body: '{"s":"hunter2"}' })
    assert.ok(!detail.includes('hunter2'), detail)
    const missing = refusalOf(contextPlan('$claims.tenant'))
    assert.equal(missing.detail, 'evaluation.context.value: claims.tenant is missing')
    assert.equal(missing.stage, 'bind')
  })
})
