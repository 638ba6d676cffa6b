import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { canonicalTarget, isNotCanonical } from '../../../src/core/canonical-target.ts'
import { isRefusal } from '../../../src/core/refusals.ts'
import { secret } from '../../../src/core/secret.ts'
import { bindOne, boundOf, planOf, refusalOf } from './binding.ts'

describe('headers of a route', () => {
  it('are rendered in order, as text', () => {
    const plan = planOf({
      headers: {
        'X-Remote-User': '$subject.id',
        'x-literal': '$$5',
        'X-Number': '$credential.ageSeconds',
        'X-True': '$request.tls',
        'X-None': '$claims.?none',
        'X-Sum': "$subject.type == 'Partner' ? 'partner:' + subject.id : subject.id",
      },
    })
    assert.deepEqual(plan.headerNames, [
      'X-Remote-User',
      'x-literal',
      'X-Number',
      'X-True',
      'X-None',
      'X-Sum',
    ])
    assert.deepEqual(boundOf(plan).headers, [
      ...['X-Remote-User', 'alice'],
      ...['x-literal', '$5'],
      ...['X-Number', '90'],
      ...['X-True', 'true'],
      ...['X-Sum', 'alice'],
    ])
  })

  it('carry other letters as UTF-8', () => {
    const plan = planOf({ headers: { 'X-Name': '$claims.name' } })
    const [, value = ''] = boundOf(plan, { claims: { name: 'José 😀' } }).headers
    assert.equal(Buffer.from(value, 'latin1').toString('utf8'), 'José 😀')
  })

  it('are refused when a value could end its line, or lose its ends', () => {
    const plan = planOf({ headers: { 'X-Name': '$claims.name' } })
    for (const name of ['a\r\nHost: b', 'a\nb', 'a\0', '\ta', ' a', 'a ', 'a\x7f', ['a'], { a: 1 }]) {
      assert.equal(refusalOf(plan, { claims: { name } }).refusal, 'denied', JSON.stringify(name))
    }
    const fromBody = planOf({ headers: { 'X-Name': '$body.name' } })
    assert.equal(refusalOf(fromBody, { body: '{"name":"a\\nb"}' }).refusal, 'bad_request')
    assert.equal(refusalOf(fromBody, { body: '{}' }).refusal, 'bad_request')
  })

  it('may name secrets, which show up nowhere else', () => {
    const secrets = new Map([['token', secret('hunter2')]])
    const headers = { 'X-Key': '$secrets.token', 'X-Auth': "$'Basic ' + secrets.token" }
    const plan = planOf({ headers, secrets })
    const bound = boundOf(plan)
    assert.deepEqual(bound.headers, ['X-Key', 'hunter2', 'X-Auth', 'Basic hunter2'])
    assert.ok(!JSON.stringify({ ...bound, headers: [] }).includes('hunter2'))
    assert.ok(!JSON.stringify(plan).includes('hunter2'))
  })

  it('hold no control character, whatever the claims are', () => {
    const plan = planOf({ headers: { 'X-A': '$claims.a', 'X-B': "$'b' + string(claims.a)" } })
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (a) => {
        const bound = bindOne(plan, { claims: { a } })
        if (isRefusal(bound)) return
        for (const text of bound.headers) assert.match(text, /^[^\u0000-\u001f\u007f\u0100-\uffff]*$/)
      }),
    )
  })
})

describe('a rewrite', () => {
  const v2 = planOf({ rewrite: "$'/v2/accounts/' + path.accountId" })
  const targetOf = (accountId: string, query = ''): string =>
    boundOf(v2, { captures: { accountId }, query }).target

  it('takes the place of the path; the query stays as it came', () => {
    assert.equal(targetOf('42'), '/v2/accounts/42')
    assert.equal(targetOf('42', '?a=%20&b'), '/v2/accounts/42?a=%20&b')
    assert.equal(targetOf('42', '?'), '/v2/accounts/42?')
    assert.equal(boundOf(planOf({ rewrite: '/fixed' }), { query: '?a=1' }).target, '/fixed?a=1')
  })

  it('replaces the query when it has one', () => {
    const plan = planOf({ rewrite: "$'/v2?id=' + path.accountId" })
    assert.equal(boundOf(plan, { query: '?a=1' }).target, '/v2?id=42')
  })

  it('encodes captures as they were in the canonical path', () => {
    assert.equal(targetOf('a b'), '/v2/accounts/a%20b')
    assert.equal(targetOf('100%'), '/v2/accounts/100%25')
    assert.equal(targetOf('é'), '/v2/accounts/%C3%A9')
    assert.equal(targetOf('a:b@c'), '/v2/accounts/a:b@c')
  })

  it('keeps the slashes of a tail', () => {
    const plan = planOf({ captures: ['rest'], rewrite: "$'/v2/' + path.rest" })
    assert.equal(boundOf(plan, { captures: { rest: 'a/b c/d' } }).target, '/v2/a/b%20c/d')
  })

  it('keeps a segment that was kept encoded, where the route takes such paths', () => {
    const sent = { path: '/accounts/a%2Fb', captures: { accountId: 'a%2Fb' } }
    assert.equal(boundOf(v2, sent).target, '/v2/accounts/a%2Fb')
    const parameters = { path: '/accounts/a;v=1', captures: { accountId: 'a;v=1' } }
    assert.equal(boundOf(v2, parameters).target, '/v2/accounts/a;v=1')
  })

  it('never adds a segment, a query or a fragment by what a claim or a body says', () => {
    const plan = planOf({ rewrite: "$'/t/' + claims.t" })
    for (const t of [
      'a/b',
      '../x',
      'a?b',
      'a#b',
      'a\\b',
      'a;b',
      '..',
      '.',
      'a\r\n',
      '%2e%2e',
      'a%2fb',
      '%00',
      '%25',
    ]) {
      const bound = bindOne(plan, { claims: { t } })
      if (isRefusal(bound)) assert.equal(bound.refusal, 'bad_request', t)
      else assert.equal(decodeURIComponent(bound.target), `/t/${t}`)
    }
    assert.equal(boundOf(plan, { claims: { t: 'a b' } }).target, '/t/a%20b')
  })

  it('is refused when dots come together', () => {
    const plan = planOf({ rewrite: "$'/v2/.' + path.accountId" })
    assert.equal(refusalOf(plan, { captures: { accountId: '.' } }).refusal, 'bad_request')
    assert.equal(refusalOf(v2, { captures: { accountId: '..' } }).refusal, 'bad_request')
  })

  it('is refused when it does not start with a slash, or starts with two', () => {
    const plan = planOf({ rewrite: "$path.accountId + '/x'" })
    assert.equal(refusalOf(plan).refusal, 'bad_request')
    assert.equal(refusalOf(planOf({ rewrite: "$'/' + request.path" })).refusal, 'bad_request')
  })

  it('may build on the canonical path', () => {
    const plan = planOf({ rewrite: "$'/v2' + request.path" })
    assert.equal(boundOf(plan, { path: '/a%20b/c' }).target, '/v2/a%20b/c')
  })

  it('cannot be given another key of its query by a capture', () => {
    const plan = planOf({ rewrite: "$'/v2?id=' + path.accountId" })
    const targetFor = (accountId: string) => boundOf(plan, { captures: { accountId } }).target
    assert.equal(targetFor('1&admin=true'), '/v2?id=1%26admin%3Dtrue')
    assert.equal(targetFor('a+b'), '/v2?id=a%2Bb')
    assert.equal(targetFor('a%2Fb&c=d'), '/v2?id=a%2Fb%26c%3Dd')
    const parameters = { path: '/accounts/1;admin=true', captures: { accountId: '1;admin=true' } }
    assert.equal(refusalOf(plan, parameters).refusal, 'bad_request')
  })

  it('is canonical and says what was sent, whatever a caller sends', () => {
    const plan = planOf({
      rewrite: "$'/a/' + path.accountId + '/b/' + claims.t + '/c?d=' + request.query.q + '&e=' + body.x",
    })
    const units = [
      '/',
      '?',
      '#',
      '%',
      '2',
      'e',
      '.',
      ';',
      '&',
      '&e=',
      '=',
      '+',
      'a',
      'é',
      '\\',
      ' ',
      '\0',
      "'",
    ]
    const text = fc.string({ unit: fc.constantFrom(...units), maxLength: 6 })
    const inPath = fc.oneof(
      text,
      fc.string({ unit: fc.constantFrom('a', 'é', '&e=', '=', '+', ' ', "'"), minLength: 1 }),
    )
    fc.assert(
      fc.property(inPath, inPath, text, text, (captured, t, q, x) => {
        // What stays encoded in a capture is looked at above; decoding cannot make such an octet.
        const accountId = captured.replaceAll(/[/;]/g, '')
        fc.pre(!/%[0-9a-f]{2}/i.test(accountId))
        const query = `?q=${encodeURIComponent(q)}`
        const bound = bindOne(plan, {
          captures: { accountId },
          claims: { t },
          query,
          body: JSON.stringify({ x }),
        })
        if (isRefusal(bound)) return
        const canonical = canonicalTarget(bound.target)
        assert.ok(!isNotCanonical(canonical))
        assert.equal(canonical.path + canonical.query, bound.target)
        assert.deepEqual(canonical.path.split('/').map(decodeURIComponent), ['', 'a', accountId, 'b', t, 'c'])
        const parameters = [...new URLSearchParams(canonical.query)]
        assert.deepEqual(parameters, [
          ['d', q],
          ['e', x],
        ])
      }),
      { numRuns: 1000 },
    )
  })
})
