import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import type { CanonicalRequest } from '../../../src/core/request.ts'
import { cutCookies } from '../../../src/gateway/enforce/cookies.ts'
import {
  createRequestHeaders,
  type RequestHeaderRules,
} from '../../../src/gateway/enforce/request-headers.ts'
import { DECISION_ID } from './harness.ts'

const RULES: RequestHeaderRules = {
  carriers: [
    { kind: 'authorization', scheme: 'bearer' },
    { kind: 'header', name: 'x-api-key' },
    { kind: 'cookie', name: 'session' },
    { kind: 'peer-certificate' },
    { kind: 'none' },
  ],
  controlledHeaders: new Set(['x-remote-user']),
  decidedHeaders: new Set(['x-tenant']),
  forwardCredential: false,
}

const requestOf = (
  headers: readonly string[],
  changes: Partial<CanonicalRequest> = {},
): CanonicalRequest => ({
  id: DECISION_ID,
  method: 'GET',
  host: 'bank.example.com',
  path: '/',
  ip: '192.0.2.7',
  receivedAtMs: 0,
  scheme: 'https',
  authority: 'bank.example.com',
  query: '',
  target: '/',
  originalTarget: '/',
  headers,
  names: headers.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase()),
  tls: true,
  remoteAddress: '127.0.0.1',
  ...changes,
})

const ADDITIONS = {
  host: 'bank.example.com',
  httpVersion: '1.1',
  decisionId: DECISION_ID,
  assertion: 'a.b.c',
  headers: ['X-Remote-User', 'alice'],
  contentLength: null,
} as const

/** What is left of the caller's fields: everything before our first one. */
const passed = (headers: readonly string[], rules: Partial<RequestHeaderRules> = {}): readonly string[] => {
  const out = createRequestHeaders({ ...RULES, ...rules })(requestOf(headers), ADDITIONS)
  return out.slice(0, out.indexOf('Host'))
}

const fieldsOf = (pairs: readonly string[], name: string): readonly string[] =>
  pairs.filter((_, index) => index % 2 === 1 && pairs[index - 1]?.toLowerCase() === name)

describe('a field of the caller', () => {
  for (const name of [
    ...[
      'Connection',
      'Keep-Alive',
      'Proxy-Connection',
      'Transfer-Encoding',
      'Upgrade',
      'HTTP2-Settings',
      'Trailer',
    ],
    ...[
      'Proxy-Authorization',
      'Proxy-Authenticate',
      'Expect',
      'Host',
      'Content-Length',
      'Via',
      'Forwarded',
      'Proxy',
    ],
    ...['X-Forwarded-For', 'X-Forwarded-Proto', 'X-Forwarded-Host', 'X-Forwarded-Port', 'X-Forwarded-Prefix'],
    ...[
      'X-Forwarded-Uri',
      'X-Forwarded-Anything',
      'X-Real-IP',
      'True-Client-IP',
      'X-Original-URL',
      'X-Rewrite-URL',
    ],
    ...[
      'X-HTTP-Method',
      'X-HTTP-Method-Override',
      'X-Method-Override',
      'Sallyport-Assertion',
      'Sallyport-Anything',
    ],
    ...['Authorization', 'X-Api-Key', 'X-Remote-User'],
  ]) {
    const spellings = [name, name.toLowerCase(), name.toUpperCase()]
    if (name.includes('-'))
      spellings.push(name.replaceAll('-', '_'), name.replaceAll('-', '.'), name.replace('-', '_'))
    it(`named ${name} does not pass, however it is spelt`, () => {
      for (const spelling of spellings) assert.deepEqual(passed([spelling, 'x']), [], spelling)
    })
  }

  it('passes otherwise, with its spelling, order and repetition', () => {
    const headers = [
      'accept',
      '*/*',
      'X-My_Header',
      '1',
      'ACCEPT',
      'text/html',
      'traceparent',
      '00-1',
      'X-Forward',
      '',
      'Range',
      'a',
    ]
    assert.deepEqual(passed(headers), headers)
  })

  it('is not taken away for the letters that it shares with one of ours', () => {
    const headers = [
      'X-Remote-User-Agent',
      '1',
      'Sallyport',
      '1',
      'Hosts',
      '1',
      'My-Authorization',
      '1',
      'XForwarded-For',
      '1',
    ]
    assert.deepEqual(passed(headers), headers)
  })

  it('passes with its credential where the upstream says so, but not when a route sets it', () => {
    const credential = ['Authorization', 'Bearer t', 'X-Api-Key', 'k', 'Cookie', 'session=1']
    assert.deepEqual(passed(credential, { forwardCredential: true }), credential)
    assert.deepEqual(
      passed(credential, { forwardCredential: true, controlledHeaders: new Set(['authorization']) }),
      credential.slice(2),
    )
  })

  it('named Authorization passes where no authenticator looks at it', () => {
    const basic = ['Authorization', 'Basic dTpw']
    assert.deepEqual(passed(basic, { carriers: [{ kind: 'header', name: 'x-api-key' }] }), basic)
  })
})

describe('Connection', () => {
  it("takes away the caller's own hop-by-hop fields", () => {
    assert.deepEqual(passed(['X-Hop', '1', 'Connection', 'close, X-HOP', 'X-End', '2']), ['X-End', '2'])
    assert.deepEqual(passed(['Connection', 'x-a', 'X-A', '1', 'connection', 'X-B', 'x-b', '2']), [])
  })

  for (const name of [
    'Cookie',
    'Content-Type',
    'Range',
    'If-Match',
    'Accept',
    'Origin',
    'traceparent',
    'X-Tenant',
  ]) {
    it(`cannot take away ${name}, which is for the application or was decided on`, () => {
      assert.deepEqual(passed(['Connection', name.toLowerCase(), name, 'v']), [name, 'v'])
    })
  }

  it('cannot take away what the gateway sets', () => {
    const named =
      'X-Forwarded-For, Forwarded, Via, Host, Sallyport-Assertion, Sallyport-Decision-Id, X-Remote-User'
    const out = createRequestHeaders(RULES)(requestOf(['Connection', named]), ADDITIONS)
    assert.deepEqual(out, [
      ...['Host', 'bank.example.com', 'X-Forwarded-For', '192.0.2.7', 'X-Forwarded-Proto', 'https'],
      ...[
        'X-Forwarded-Host',
        'bank.example.com',
        'Forwarded',
        'for=192.0.2.7;host=bank.example.com;proto=https',
      ],
      ...['Via', '1.1 sallyport', 'Sallyport-Decision-Id', DECISION_ID, 'Sallyport-Assertion', 'a.b.c'],
      ...['X-Remote-User', 'alice'],
    ])
  })
})

describe('what the gateway sets', () => {
  const built = (changes: Partial<CanonicalRequest>, additions = {}): readonly string[] =>
    createRequestHeaders(RULES)(requestOf([], changes), { ...ADDITIONS, ...additions })

  it('quotes what RFC 7239 wants quoted', () => {
    const out = built({ ip: '2001:db8::1', authority: 'bank.example.com:8080', scheme: 'http' })
    assert.deepEqual(fieldsOf(out, 'forwarded'), [
      'for="[2001:db8::1]";host="bank.example.com:8080";proto=http',
    ])
    assert.deepEqual(fieldsOf(out, 'x-forwarded-for'), ['2001:db8::1'])
    assert.deepEqual(fieldsOf(out, 'x-forwarded-host'), ['bank.example.com:8080'])
  })

  it('cannot be added to by an authority', () => {
    const out = built({ authority: 'a;proto=https,for=1.2.3.4"\\' })
    assert.deepEqual(fieldsOf(out, 'forwarded'), [
      'for=192.0.2.7;host="a;proto=https,for=1.2.3.4\\"\\\\";proto=https',
    ])
  })

  it('gives way to what a route sets itself', () => {
    const rules = { ...RULES, controlledHeaders: new Set(['x-forwarded-for', 'via']) }
    const build = createRequestHeaders(rules)
    const out = build(requestOf([]), { ...ADDITIONS, headers: ['X-FORWARDED-FOR', '10.0.0.1'] })
    assert.deepEqual(fieldsOf(out, 'x-forwarded-for'), ['10.0.0.1'])
    assert.deepEqual(fieldsOf(out, 'via'), ['1.1 sallyport'])
  })

  it('leaves out an assertion that there is none of, and says the version that was spoken', () => {
    const out = built({}, { assertion: null, httpVersion: '1.0' })
    assert.deepEqual(fieldsOf(out, 'sallyport-assertion'), [])
    assert.deepEqual(fieldsOf(out, 'via'), ['1.0 sallyport'])
  })

  it('says TE: trailers when the caller does', () => {
    assert.deepEqual(passed(['TE', 'gzip;q=0.5, Trailers', 'Connection', 'TE']), ['TE', 'trailers'])
    assert.deepEqual(passed(['TE', 'gzip']), [])
  })
})

describe('a Cookie field', () => {
  for (const [name, value, left] of [
    ['loses the one cookie that is a credential', 'a=1; session=x; b=2', 'a=1; b=2'],
    ['loses the first one', 'session=x; a=1', 'a=1'],
    ['loses the last one', 'a=1; session=x', 'a=1'],
    ['loses it as often as it is there', 'session=x; a=1;session=y', 'a=1'],
    ['loses it with odd spaces', 'a=1;  session = x ;b=2', 'a=1;b=2'],
    ['loses it without a value', 'session; a=1', 'a=1'],
    ['goes when nothing is left', 'session=x', null],
    ['keeps other bytes', 'a= "1 ;b==;;c', 'a= "1 ;b==;;c'],
    [
      'keeps a cookie whose name only resembles it',
      'Session=1; session2=2; xsession=3',
      'Session=1; session2=2; xsession=3',
    ],
    ['keeps a cookie that has the name as its value', 'a=session', 'a=session'],
  ] as const) {
    it(name, () => {
      assert.equal(cutCookies(value, new Set(['session'])), left)
      assert.deepEqual(passed(['cOOkie', value]), left === null ? [] : ['cOOkie', left])
    })
  }

  for (const name of [
    'sallyport-browser',
    '__Host-sallyport-browser',
    '__Secure-sallyport-x',
    '__HOST-Sallyport-browser.0',
    'SALLYPORT-browser.login-1',
  ]) {
    it(`loses ${name}, whatever carriers there are`, () => {
      assert.deepEqual(passed(['Cookie', `a=1; ${name}=x`]), ['Cookie', 'a=1'])
      assert.equal(cutCookies(`${name}; a=1`, new Set()), 'a=1')
    })
  }

  it('keeps a cookie that only mentions the name of the gateway', () => {
    assert.equal(cutCookies('a=sallyport-x; my-sallyport-x=1', new Set()), 'a=sallyport-x; my-sallyport-x=1')
  })

  it('never has a credential left in it', () => {
    const part = fc.oneof(fc.constant('session=secret'), fc.constant(' session =secret'), fc.string())
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        const left = cutCookies(parts.join(';'), new Set(['session'])) ?? ''
        assert.ok(!left.split(';').some((cookie) => cookie.split('=')[0]?.trim() === 'session'))
      }),
    )
  })
})
