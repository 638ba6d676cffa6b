import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { isRefusal } from '../../../src/core/refusals.ts'
import { bindOne, codeOf, contextPlan, mapped, plain, planOf, refusalOf } from './binding.ts'

const FORM = 'application/x-www-form-urlencoded'

describe('a query that the mapping reads', () => {
  const ambiguous: ReadonlyMap<string, string> = new Map([
    ['a repeated key', '?to=a&to=b'],
    ['a repeated key, with equal values', '?to=a&to=a'],
    ['a key that is there again but for case', '?to=a&TO=b'],
    ['a key that is there again once it is decoded', '?to=a&%74o=b'],
    ['a key that is there again without a value', '?to=a&to'],
    ['a semicolon before another such key', '?x=1;to=b&to=a'],
    ['a semicolon in its value', '?to=a;b'],
    ['a semicolon that hides it', '?x=1;to=b'],
    ['a key with NUL', '?to%00=b&to=a'],
    ['a key that does not decode', '?%zz=1&to=a'],
    ['a key that is not UTF-8', '?%ff=1&to=a'],
    ['a value that does not decode', '?to=%'],
    ['a value that is not UTF-8', '?to=%c3%28'],
  ])
  for (const [what, query] of ambiguous) {
    it(`is refused for ${what}`, () => {
      assert.equal(codeOf('$request.query.to', { query }), 'bad_request')
      assert.equal(codeOf('$request.query', { query }), 'bad_request')
      assert.equal(codeOf('$request.query.?to', { query }), 'bad_request')
      assert.equal(codeOf("$true || request.query.to == 'a'", { query }), 'bad_request')
    })
  }

  it('is not confused by other keys', () => {
    const query = '?to=a&x=1&x=2&X=3&to[]=b&to%5B%5D=c&toto=d&y=1;z=2&'
    assert.equal(mapped('$request.query.to', { query }), 'a')
    assert.equal(codeOf('$request.query', { query }), 'bad_request')
  })

  it('has an empty value where one was sent, and none where none was', () => {
    assert.equal(mapped('$request.query.to', { query: '?to=' }), '')
    assert.equal(mapped('$request.query.to', { query: '?to' }), '')
    assert.equal(codeOf('$request.query.to', { query: '?' }), 'bad_request')
    assert.equal(codeOf('$request.query.to', { query: '' }), 'bad_request')
  })

  it('is of no concern where nothing reads it', () => {
    assert.equal(mapped('$path.accountId', { query: '?a=1&a=2&%zz&x;y' }), '42')
  })
})

describe('a header that the mapping reads', () => {
  const read = '$request.headers["x-tenant"]'

  it('is refused when it came twice, whatever the case', () => {
    assert.equal(codeOf(read, { headers: ['X-Tenant', 'a', 'x-tenant', 'a'] }), 'bad_request')
    assert.equal(
      codeOf(`$true || ${read.slice(1)} == 'a'`, { headers: ['x-tenant', 'a', 'X-TENANT', 'b'] }),
      'bad_request',
    )
  })

  it('is UTF-8, or refused', () => {
    const latin1 = Buffer.from('José', 'utf8').toString('latin1')
    assert.equal(mapped(read, { headers: ['X-Tenant', latin1] }), 'José')
    assert.equal(codeOf(read, { headers: ['X-Tenant', 'Jos\xe9'] }), 'bad_request')
  })

  it('is refused when a cookie in it is there twice', () => {
    const cookie = '$request.headers.cookie'
    for (const value of ['a=1; a=2', 'a=1;A=1', 'a=1; b=2; a', 'a=1; a =2']) {
      assert.equal(codeOf(cookie, { headers: ['Cookie', value] }), 'bad_request', value)
    }
    assert.equal(codeOf(cookie, { headers: ['Cookie', 'a=1', 'Cookie', 'b=1'] }), 'bad_request')
    assert.equal(mapped(cookie, { headers: ['Cookie', 'a=1; b=2'] }), 'a=1; b=2')
  })

  it('is of no concern where nothing reads it', () => {
    assert.equal(mapped('$path.accountId', { headers: ['X-A', '1', 'X-A', '2'] }), '42')
  })
})

describe('a JSON body that the mapping reads', () => {
  const refused: ReadonlyMap<string, string | Buffer> = new Map<string, string | Buffer>([
    ['a repeated key', '{"to":"a","to":"b"}'],
    ['a repeated key that is not even read', '{"to":"a","x":1,"x":2}'],
    ['a key that is there again but for case', '{"to":"a","To":"b"}'],
    ['a key that is there again once it is unescaped', '{"to":"a","\\u0074o":"b"}'],
    ['a byte order mark', '\ufeff{"to":"a"}'],
    ['UTF-16', Buffer.from('{"to":"a"}', 'utf16le')],
    ['what is not UTF-8', Buffer.from('{"to":"\xff"}', 'latin1')],
    [
      'an encoded surrogate',
      Buffer.from([...Buffer.from('{"to":"'), 0xed, 0xa0, 0x80, ...Buffer.from('"}')]),
    ],
    ['nesting over 32', `{"to":"a","x":${'['.repeat(33)}${']'.repeat(33)}}`],
    ['an integer beyond 2^53', '{"to":"a","x":9007199254740993}'],
    ['a list', '[{"to":"a"}]'],
    ['null', 'null'],
    ['a string', '"to"'],
    ['nothing', ''],
    ['two documents', '{"to":"a"}{"to":"b"}'],
    ['what does not parse', '{to:"a"}'],
  ])
  for (const [what, body] of refused) {
    it(`is refused for ${what}`, () => {
      assert.equal(codeOf('$body.to', { body }), 'bad_request')
      assert.equal(codeOf('$body.?to', { body }), 'bad_request')
    })
  }

  const types = [
    'application/json',
    'application/JSON ; Charset="UTF-8"',
    'application/vnd.bank+json;v=1;charset=utf-8',
  ]
  for (const type of types) {
    it(`is read as ${type}`, () => {
      assert.equal(mapped('$body.to', { body: '{"to":"a"}', type }), 'a')
    })
  }

  const wrongTypes = [
    'text/plain',
    'text/json',
    'application/jsonp',
    'application/xml+jsonx',
    'multipart/form-data; boundary=x',
    'application/json; charset=utf-16',
    'application/json; charset=latin1',
    'application/json; charset=utf-8; charset=utf-16',
    'application/json; charset=utf-7; charset=utf-8',
    'application/json, text/plain',
    'application/json; charset',
    'application/json; charset="utf-8',
    'application / json',
    '',
  ]
  for (const type of wrongTypes) {
    it(`is refused as ${type || 'nothing'}`, () => {
      assert.equal(codeOf('$body.to', { body: '{"to":"a"}', type }), 'bad_request')
    })
  }

  it('is refused without a content type, with two, and with a content encoding', () => {
    const plan = contextPlan('$body.to')
    const body = '{"to":"a"}'
    assert.equal(refusalOf(plan, { body, headers: ['Content-Encoding', 'gzip'] }).refusal, 'bad_request')
    assert.equal(
      refusalOf(plan, { body, headers: ['Content-Type', 'application/json'] }).refusal,
      'bad_request',
    )
    assert.equal(refusalOf(plan).refusal, 'bad_request')
  })

  it('is said to be wrong without being repeated', () => {
    const { detail, publicDetail } = refusalOf(contextPlan('$body.to'), { body: '{"hunter2":1,"hunter2":2}' })
    assert.equal(detail, 'the body is not unambiguous JSON: duplicate key at character 13')
    assert.equal(publicDetail, 'The body is not unambiguous JSON: duplicate key at character 13.')
  })

  it('is of no concern where nothing reads it', () => {
    assert.equal(mapped('$path.accountId', { body: '{"a":1,"a":2', type: 'text/html' }), '42')
  })
})

describe('a form that the mapping reads', () => {
  it('is decoded once, with plus as space', () => {
    const sent = { body: 'to=a%20b+c%2B&amount=5&%C3%A9=x', type: FORM }
    assert.equal(mapped('$body.to', sent), 'a b c+')
    assert.equal(mapped('$body.amount', sent), '5')
    assert.deepEqual(mapped('$body', sent), { to: 'a b c+', amount: '5', é: 'x' })
  })

  it('has no key from brackets', () => {
    const sent = { body: 'to[]=a', type: FORM }
    assert.equal(codeOf('$body.to', sent), 'bad_request')
  })

  for (const body of [
    'to=a&to=b',
    'to=a&TO=b',
    'to=a&t%6f=b',
    'to=a;to=b',
    'to=%ff',
    '\ufeffto=a',
    'to%00=x&to=a',
  ]) {
    it(`is refused as ${JSON.stringify(body)}`, () => {
      assert.equal(codeOf('$body.to', { body, type: FORM }), 'bad_request')
    })
  }

  it('may repeat what is not read', () => {
    assert.equal(mapped('$body.to', { body: 'to=a&tags=x&tags=y', type: FORM }), 'a')
    assert.equal(codeOf('$body', { body: 'to=a&tags=x&tags=y', type: FORM }), 'bad_request')
  })
})

const KEYS = [
  'to',
  'TO',
  'To',
  't%6f',
  '%54o',
  'to[]',
  'to%5b%5d',
  'x',
  'tö',
  'to%00',
  '',
  '%',
  'to ',
  '+to',
] as const
const key = fc.constantFrom(...KEYS)
const pair = fc.tuple(key, fc.constantFrom('=', '=a', '=b', '', '=%', '=a;to=b', '=%C3%A9'))
const pairs = fc
  .array(fc.tuple(pair, fc.constantFrom('&', ';', '&&')), { maxLength: 6 })
  .map((parts) => parts.map(([[name, value], separator]) => name + value + separator).join(''))

/** Every value that some parser could take for that of `to`: split at both separators, keys folded. */
const candidates = (text: string): readonly string[] =>
  text.split(/[&;]/).flatMap((part) => {
    const [name = '', ...rest] = part.split('=')
    const decoded = decodeLeniently(name).replace(/\0.*/s, '')
    return part !== '' && decoded.toLowerCase() === 'to' ? [decodeLeniently(rest.join('='))] : []
  })
const decodeLeniently = (text: string): string => {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '))
  } catch {
    return text
  }
}

describe('whatever comes', () => {
  it('maps a query or form value only if no other parser could read another one', () => {
    const query = contextPlan('$request.query.to')
    const form = contextPlan('$body.to')
    fc.assert(
      fc.property(pairs, (text) => {
        const bounds = [bindOne(query, { query: `?${text}` }), bindOne(form, { body: text, type: FORM })]
        for (const bound of bounds) {
          if (isRefusal(bound)) {
            assert.equal(bound.refusal, 'bad_request')
            continue
          }
          assert.deepEqual(candidates(text), [bound.accessRequests[0]?.context.value])
        }
      }),
      { numRuns: 1000 },
    )
  })

  it('maps a header only if it came once', () => {
    const plan = contextPlan('$request.headers["x-a"]')
    const header = fc.tuple(fc.constantFrom('X-A', 'x-a', 'X-a', 'X-B', 'X_A'), fc.constantFrom('1', '2', ''))
    fc.assert(
      fc.property(fc.array(header, { maxLength: 4 }), (headers) => {
        const sent = headers.filter(([name]) => name.toLowerCase() === 'x-a').map(([, value]) => value)
        const bound = bindOne(plan, { headers: headers.flat() })
        if (isRefusal(bound)) assert.notEqual(sent.length, 1)
        else assert.deepEqual([bound.accessRequests[0]?.context.value], sent)
      }),
    )
  })

  it('maps a JSON body only as JSON.parse reads it, and no prototype is touched', () => {
    const plan = contextPlan('$body.to')
    const name = fc.constantFrom('to', 'TO', '__proto__', 'constructor', 'x', '\u0000')
    const value = fc.oneof(
      fc.string(),
      fc.integer(),
      fc.double(),
      fc.boolean(),
      fc.constant(null),
      fc.json().map(String),
    )
    const text = fc
      .array(fc.tuple(name, value), { maxLength: 5 })
      .map((members) => `{${members.map(([k, v]) => `${JSON.stringify(k)}:${JSON.stringify(v)}`).join(',')}}`)
    fc.assert(
      fc.property(text, (body) => {
        const bound = bindOne(plan, { body })
        if (!isRefusal(bound)) {
          assert.deepEqual(plain(bound.accessRequests[0]?.context.value), JSON.parse(body).to)
          assert.equal(body.match(/"to":/gi)?.length, 1)
        }
        assert.equal(Object.keys(Object.prototype).length, 0)
      }),
      { numRuns: 500 },
    )
  })

  it('is never a crash: random bytes are mapped or refused', () => {
    const plan = planOf({
      evaluation: {
        action: 'read',
        resource: { type: 'A', id: '$body.id' },
        context: { q: '$request.query.?q', whole: '$body', sum: '$body.?n.orValue(1) + 1', c: '$claims.?c' },
      },
    })
    const type = fc.constantFrom('application/json', FORM, 'x/y+json', 'text/plain')
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc.json().map((json) => Buffer.from(`{"id":"1","n":${json}}`)),
    )
    fc.assert(
      fc.property(bytes, type, fc.string(), fc.jsonValue(), (body, contentType, query, claim) => {
        const sent = {
          body: Buffer.from(body),
          type: contentType,
          query: `?${query}`,
          // JSON knows no undefined, nor prototypes.
          claims: JSON.parse(JSON.stringify({ c: claim })),
        }
        const bound = bindOne(plan, sent)
        if (isRefusal(bound)) assert.ok(bound.refusal === 'bad_request' || bound.refusal === 'denied')
        else assert.equal(typeof bound.accessRequests[0]?.resource.id, 'string')
      }),
      { numRuns: 500 },
    )
  })
})
