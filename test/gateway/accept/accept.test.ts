import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { RequestHead } from '../../../src/core/exchange.ts'
import { isRefusal } from '../../../src/core/refusals.ts'
import type { Route } from '../../../src/core/route.ts'
import { createAccept } from '../../../src/gateway/accept/accept.ts'
import type { MatchFlags, TrustedProxyConfig } from '../../../src/gateway/accept/config.ts'
import { compileRoutes } from '../../../src/gateway/accept/route-table.ts'
import { fixedClock } from './support.ts'

const FLAGS: MatchFlags = {
  ignoreCase: false,
  fallThrough: false,
  allowEncodedSlash: false,
  allowPathParameters: false,
}

const routeOf = (name: string, index: number): Route => ({
  index,
  name,
  owner: 'payments',
  access: 'protected',
  mode: 'enforce',
  authenticate: ['staff'],
  engine: 'bank',
  upstream: 'core',
})

const ROUTES: readonly (readonly [match: string, flags?: Partial<MatchFlags>, host?: string])[] = [
  ['GET /accounts/{id}'],
  ['GET /slashes/{id}', { allowEncodedSlash: true }],
  ['GET /parameters/{id}', { allowPathParameters: true }],
  ['GET /{*rest}', {}, 'port.example:443'],
  ['GET /{*rest}', {}, 'public.example'],
]

const setUp = (trustedProxies: readonly TrustedProxyConfig[] = []) => {
  const routes = ROUTES.map(([match, flags, host], index) => ({
    route: routeOf(match, index),
    match,
    flags: { ...FLAGS, ...flags },
    host,
  }))
  const table = compileRoutes(routes, (_, problem) => assert.fail(problem.message))
  const listeners = new Map([
    ['trusting', { trustedProxies }],
    ['plain', { trustedProxies: [] }],
  ])
  return createAccept({ table, listeners, guardedHeaders: new Set(['x-remote-user']), clock: fixedClock })
}

const accept = setUp()

const head = (target: string, more: Partial<RequestHead> = {}): RequestHead => ({
  method: 'GET',
  target,
  httpVersion: '1.1',
  headers: ['Host', 'Bank.Example.com.:8080'],
  remoteAddress: '::ffff:192.0.2.1',
  listener: 'plain',
  tls: false,
  ...more,
})

const accepted = (request: RequestHead, by = accept) => {
  const result = by(request)
  assert.ok(!isRefusal(result), JSON.stringify(result))
  return result
}

const refused = (request: RequestHead, by = accept) => {
  const result = by(request)
  assert.ok(isRefusal(result), 'accepted')
  return result
}

test('a request gets its one spelling, and keeps what was sent beside it', () => {
  const headers = ['HOST', 'Bank.Example.com.:8080', 'X-A', '1', 'x-a', '2']
  const { request, route, path } = accepted(head('/accounts/%7e%c3%a9%20x/?a=%2f', { headers }))
  assert.equal(route.name, 'GET /accounts/{id}')
  assert.deepEqual({ ...path }, { id: '~é x' })
  assert.match(request.id, /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  assert.deepEqual(
    { ...request, id: '', arrival: null },
    {
      id: '',
      method: 'GET',
      host: 'bank.example.com',
      authority: 'bank.example.com:8080',
      path: '/accounts/~%C3%A9%20x/',
      query: '?a=%2F',
      target: '/accounts/~%C3%A9%20x/?a=%2F',
      originalTarget: '/accounts/%7e%c3%a9%20x/?a=%2f',
      ip: '192.0.2.1',
      remoteAddress: '::ffff:192.0.2.1',
      peerCertificate: null,
      arrival: null,
      receivedAtMs: fixedClock.nowMs(),
      scheme: 'http',
      tls: false,
      headers,
      names: ['host', 'x-a', 'x-a'],
      traceparent: undefined,
    },
  )
})

test('a bare question mark stays', () => {
  const { request } = accepted(head('/accounts/1?'))
  assert.deepEqual([request.path, request.query, request.target], ['/accounts/1', '?', '/accounts/1?'])
})

describe('target forms', () => {
  test('the absolute form is taken where its authority is the Host, and becomes the origin form', () => {
    for (const target of [
      'http://bank.example.com:8080/accounts/1?x',
      'HTTPS://BANK.example.com.:8080/accounts/1?x',
    ]) {
      const { request } = accepted(head(target))
      assert.equal(request.target, '/accounts/1?x')
      assert.equal(request.scheme, 'http')
      assert.equal(request.originalTarget, target)
    }
    const root = accepted(head('http://public.example?x', { headers: ['Host', 'public.example'] }))
    assert.equal(root.request.target, '/?x')
  })

  const others: Readonly<Record<string, string>> = {
    'http://evil.example/accounts/1': '/accounts/1',
    'http://bank.example.com/accounts/1': '/accounts/1',
    'http://bank.example.com:80/accounts/1': '/accounts/1',
    'http://user:secret@bank.example.com:8080/accounts/1': '/accounts/1',
    'http:http://internal-vhost/admin': 'http:http://internal-vhost/admin',
    'ftp://bank.example.com:8080/accounts/1': '/accounts/1',
    'http:///accounts/1': '/accounts/1',
    '*': '*',
    'bank.example.com:8080': 'bank.example.com:8080',
    'user:secret@bank.example.com:8080': '',
    '': '',
    'accounts/1?secret': 'accounts/1',
    '//evil.example/accounts/1': '//evil.example/accounts/1',
  }
  for (const [target, path] of Object.entries(others)) {
    test(`${JSON.stringify(target)} is refused`, () => {
      const refusal = refused(head(target))
      assert.equal(refusal.refusal, 'bad_request')
      assert.equal(refusal.request.path, path)
      assert.ok(!JSON.stringify(refusal).includes('secret'))
    })
  }

  test('CONNECT is refused', () => {
    assert.equal(refused(head('bank.example.com:443', { method: 'CONNECT' })).refusal, 'bad_request')
  })
})

describe('refusals', () => {
  test('carry what could be told, and no header', () => {
    const headers = ['Host', 'Bank.Example.com', 'Authorization', 'Bearer secret']
    const { request, ...refusal } = refused(head('/a/../b?token=secret', { headers }))
    assert.deepEqual(refusal, {
      refusal: 'bad_request',
      stage: 'accept',
      detail: 'a dot segment',
      publicDetail: 'The request has a dot segment.',
    })
    assert.deepEqual(
      { ...request, id: '' },
      {
        id: '',
        method: 'GET',
        host: 'bank.example.com',
        path: '/a/../b',
        ip: '192.0.2.1',
        receivedAtMs: fixedClock.nowMs(),
      },
    )
  })

  test('of a route that is not there carry the canonical path, and no header', () => {
    const headers = ['Host', 'bank.example.com', 'Authorization', 'Bearer secret']
    const refusal = refused(head('/%6eothing?token=secret', { headers }))
    assert.deepEqual([refusal.refusal, refusal.request.path], ['no_route', '/nothing'])
    assert.ok(!JSON.stringify(refusal).includes('secret'))
  })

  test('of framing and fields end the connection; of the target alone they do not', () => {
    const close = ['Connection', 'close']
    for (const headers of [
      [],
      ['Host', 'a', 'Host', 'a'],
      ['Host', 'a b'],
      ['Host', 'a', 'Transfer-Encoding', 'gzip, chunked'],
      ['Host', 'a', 'X_Remote_User', 'admin'],
    ]) {
      assert.deepEqual(refused(head('/accounts/1', { headers })).headers, close)
    }
    assert.equal(refused(head('/a/../b')).headers, undefined)
    assert.equal(refused(head('/nothing')).headers, undefined)
  })
})

describe('opt-ins', () => {
  test('belong to the route, and keep the segment encoded', () => {
    assert.equal(refused(head('/accounts/a%2fb')).refusal, 'bad_request')
    assert.equal(refused(head('/accounts/a;b')).refusal, 'bad_request')
    assert.equal(refused(head('/slashes/a;b')).refusal, 'bad_request')
    assert.equal(refused(head('/parameters/a%2fb')).refusal, 'bad_request')
    assert.equal(accepted(head('/slashes/a%2fb')).path.id, 'a%2Fb')
    assert.equal(accepted(head('/slashes/a%2fb')).request.target, '/slashes/a%2Fb')
    assert.equal(accepted(head('/parameters/a;b=%20')).path.id, 'a;b=%20')
    assert.equal(accepted(head('/parameters/a%3bb')).request.path, '/parameters/a%3Bb')
  })

  test('are asked for also where there is no route', () => {
    assert.equal(refused(head('/nothing/a%2Fb')).refusal, 'bad_request')
    assert.equal(refused(head('/nothing/a;b')).refusal, 'bad_request')
  })

  test('never hide a dot segment', () => {
    assert.equal(refused(head('/slashes/a%2f..%2fb')).refusal, 'bad_request')
    assert.equal(refused(head('/parameters/..;x')).refusal, 'bad_request')
  })
})

describe('the port of the host', () => {
  const at = (authority: string, more: Partial<RequestHead> = {}, by = accept) =>
    by(head('/x', { headers: ['Host', authority], ...more }))

  test('is the scheme’s own when none is named', () => {
    const trusting = setUp([{ cidrs: ['192.0.2.1'], headers: ['x-forwarded-proto'] }])
    assert.ok(!isRefusal(at('port.example:443')))
    assert.ok(isRefusal(at('port.example')))
    const headers = ['Host', 'port.example', 'X-Forwarded-Proto', 'https']
    assert.ok(!isRefusal(trusting(head('/x', { headers, listener: 'trusting' }))))
    assert.ok(isRefusal(trusting(head('/x', { headers, listener: 'plain' }))))
    assert.ok(!isRefusal(at('port.example', { tls: true })))
  })
})

describe('trusted proxies', () => {
  const trusting = setUp([
    { cidrs: ['192.0.2.0/24'], headers: ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host'] },
  ])
  const headers = [
    ...['Host', 'inside.example', 'X-Forwarded-For', '6.6.6.6, 198.51.100.9', 'X-Forwarded-Proto', 'https'],
    ...['X-Forwarded-Host', 'Public.Example'],
  ]

  test('say who the client is, and what it asked for', () => {
    const { request, route } = accepted(head('/x', { headers, listener: 'trusting' }), trusting)
    assert.deepEqual(
      [request.ip, request.scheme, request.tls, request.host, request.authority, request.remoteAddress],
      ['198.51.100.9', 'https', true, 'public.example', 'public.example', '::ffff:192.0.2.1'],
    )
    assert.equal(route.index, 4)
  })

  test('are believed on their own listener alone', () => {
    const refusal = refused(head('/x', { headers, listener: 'plain' }), trusting)
    assert.deepEqual(
      [refusal.refusal, refusal.request.ip, refusal.request.host],
      ['no_route', '192.0.2.1', 'inside.example'],
    )
  })

  test('that say nonsense are refused, and the record has the proxy’s own address', () => {
    const refusal = refused(
      head('/x', { headers: ['Host', 'public.example', 'X-Forwarded-For', 'junk'], listener: 'trusting' }),
      trusting,
    )
    assert.deepEqual([refusal.refusal, refusal.request.ip], ['bad_request', '192.0.2.1'])
  })

  test('are told in the record of a refused target too', () => {
    const refusal = refused(head('/a/..', { headers, listener: 'trusting' }), trusting)
    assert.deepEqual([refusal.request.ip, refusal.request.host], ['198.51.100.9', 'public.example'])
  })
})

describe('the paths of Sallyport itself', () => {
  const JWKS = '/.well-known/sallyport/jwks.json'

  test('have the keys, for any host, by GET and HEAD', () => {
    for (const method of ['GET', 'HEAD']) {
      const { route, path } = accepted(head(JWKS, { method, headers: ['Host', 'public.example'] }))
      assert.equal(route.name, 'sallyport-jwks')
      assert.deepEqual([route.index, route.access, route.upstream], [-1, 'public', ''])
      assert.deepEqual({ ...path }, {})
    }
  })

  test('have nothing else, also where a route takes every path', () => {
    for (const [target, method] of [
      [JWKS, 'POST'],
      [`${JWKS}/`, 'GET'],
      ['/.well-known/sallyport/', 'GET'],
      ['/.well-known/sallyport', 'GET'],
      ['/.WELL-KNOWN/Sallyport/x', 'GET'],
      ['/%2esallyport/x', 'GET'],
      ['/.sallyport', 'GET'],
    ] as const) {
      const refusal = refused(head(target, { method, headers: ['Host', 'public.example'] }))
      assert.equal(refusal.refusal, 'no_route', target)
    }
  })

  test('begin only like others', () => {
    for (const target of ['/.sallyporter', '/.well-known/security.txt', '/a/.sallyport/x']) {
      assert.equal(accepted(head(target, { headers: ['Host', 'public.example'] })).route.index, 4)
    }
  })
})

describe('traceparent', () => {
  const trace = (...values: readonly string[]): string | undefined =>
    accepted(
      head('/accounts/1', { headers: ['Host', 'a', ...values.flatMap((value) => ['Traceparent', value])] }),
    ).request.traceparent
  const GOOD = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'

  test('is passed on when it is well-formed', () => {
    assert.equal(trace(GOOD), GOOD)
    assert.equal(trace(GOOD.replace('00-', 'cc-')), GOOD.replace('00-', 'cc-'))
    assert.equal(trace(`${GOOD.replace('00-', 'cc-')}-what`), `${GOOD.replace('00-', 'cc-')}-what`)
  })

  test('is left out when it is not', () => {
    for (const value of [
      '',
      `${GOOD}-x`,
      GOOD.toUpperCase(),
      GOOD.replace('00-', 'ff-'),
      GOOD.replace(/-[0-9a-f]{32}-/, `-${'0'.repeat(32)}-`),
      GOOD.replace(/-[0-9a-f]{16}-/, `-${'0'.repeat(16)}-`),
      `${GOOD.replace('00-', 'cc-')}-${'x'.repeat(300)}`,
    ]) {
      assert.equal(trace(value), undefined, value)
    }
    assert.equal(trace(GOOD, GOOD), undefined)
  })
})

test('the same request in its canonical spelling takes the same route with the same captures', () => {
  const characters = fc.constantFrom(
    'a',
    'B',
    '7',
    '%41',
    '%7e',
    '%C3%A9',
    '%20',
    '%2f',
    ';',
    '.',
    '%2e',
    '@',
    '%40',
    '%25',
  )
  const segment = fc.array(characters, { minLength: 1, maxLength: 4 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(fc.constantFrom('accounts', 'slashes', 'parameters', 'none'), segment, (first, second) => {
      const once = accept(head(`/${first}/${second}`))
      if (isRefusal(once)) return
      const again = accepted(head(once.request.target))
      assert.equal(again.request.target, once.request.target)
      assert.equal(again.route, once.route)
      assert.deepEqual(again.path, once.path)
    }),
    { numRuns: 1000 },
  )
})
