import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Problem } from '../../../src/core/problem.ts'
import {
  checkTrustedProxies,
  createClientReader,
  isClientMistake,
} from '../../../src/gateway/accept/client-address.ts'
import type { TrustedProxyConfig } from '../../../src/gateway/accept/config.ts'

const ALL: TrustedProxyConfig = {
  cidrs: ['10.0.0.0/8', 'fd00::/8', '192.0.2.7'],
  headers: ['x-forwarded-for', 'x-forwarded-proto', 'x-forwarded-host', 'forwarded'],
}

const ask = (
  headers: readonly string[],
  { from = '10.0.0.1', proxies = [ALL] }: { from?: string; proxies?: readonly TrustedProxyConfig[] } = {},
): string => {
  const names = headers.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase())
  const client = createClientReader(proxies)({ remoteAddress: from, tls: false, headers, names })
  if (isClientMistake(client)) return 'mistake'
  return [client.ip, client.scheme, ...(client.host === null ? [] : [client.host.authority])].join(' ')
}

const XFF = (...values: readonly string[]): string[] => values.flatMap((value) => ['X-Forwarded-For', value])

describe('who the client is', () => {
  const cases: readonly (readonly [
    name: string,
    headers: readonly string[],
    expected: string,
    from?: string,
  ])[] = [
    ['a proxy without headers is the client', [], '10.0.0.1 http'],
    [
      'an untrusted peer is not believed',
      [...XFF('1.2.3.4'), 'X-Forwarded-Proto', 'https'],
      '9.9.9.9 http',
      '9.9.9.9',
    ],
    ['an untrusted peer may send junk', XFF('junk'), '9.9.9.9 http', '9.9.9.9'],
    ['one hop', XFF('1.2.3.4'), '1.2.3.4 http'],
    ['a mapped peer is its IPv4 address', XFF('1.2.3.4'), '1.2.3.4 http', '::ffff:10.0.0.1'],
    ['a mapped peer in hex is its IPv4 address', XFF('1.2.3.4'), '1.2.3.4 http', '::ffff:a00:1'],
    ['an untrusted mapped peer is told as IPv4', XFF('1.2.3.4'), '9.9.9.9 http', '::ffff:9.9.9.9'],
    ['an IPv6 proxy', XFF('1.2.3.4'), '1.2.3.4 http', 'fd12::1'],
    ['a peer with a zone', XFF('1.2.3.4'), 'fe80::1 http', 'fe80::1%eth0'],
    ['a single trusted address', XFF('1.2.3.4'), '1.2.3.4 http', '192.0.2.7'],
    ['its neighbour is not trusted', XFF('1.2.3.4'), '192.0.2.6 http', '192.0.2.6'],
    ['what the client wrote itself is not believed', XFF('6.6.6.6, 1.2.3.4'), '1.2.3.4 http'],
    ['junk that the client wrote itself says nothing', XFF('junk, 1.2.3.4'), '1.2.3.4 http'],
    ['trusted hops are passed over', XFF('6.6.6.6, 1.2.3.4, 10.9.9.9, fd00::2'), '1.2.3.4 http'],
    ['several fields are one list', XFF('6.6.6.6', '1.2.3.4', '10.9.9.9'), '1.2.3.4 http'],
    ['a client inside of the trusted network', XFF('10.1.1.1, 10.2.2.2'), '10.1.1.1 http'],
    ['a mapped address in the list', XFF('::ffff:1.2.3.4'), '1.2.3.4 http'],
    ['one spelling of IPv6', XFF('2001:DB8:0:0::1'), '2001:db8::1 http'],
    ['addresses with ports', XFF('[2001:db8::1]:443, 10.2.2.2:80'), '2001:db8::1 http'],
    ['junk from a trusted proxy', XFF('junk'), 'mistake'],
    ['an empty field', XFF(''), 'mistake'],
    ['unknown', XFF('unknown'), 'mistake'],
    ['a leading zero', XFF('01.2.3.4'), 'mistake'],
    ['junk behind a trusted hop', XFF('junk, 10.2.2.2'), 'mistake'],
    ['an address with more behind it', XFF('1.2.3.4;x'), 'mistake'],
    ['the scheme', ['X-Forwarded-Proto', 'HTTPS'], '10.0.0.1 https'],
    ['a scheme that is none', ['X-Forwarded-Proto', 'ftp'], 'mistake'],
    ['two schemes', ['X-Forwarded-Proto', 'https', 'X-Forwarded-Proto', 'https'], 'mistake'],
    ['a list of schemes', ['X-Forwarded-Proto', 'https, http'], 'mistake'],
    ['the host', ['X-Forwarded-Host', 'Bank.Example.com:8443'], '10.0.0.1 http bank.example.com:8443'],
    ['a host that is none', ['X-Forwarded-Host', 'a;proto=https,for=1.2.3.4'], 'mistake'],
    ['two hosts', ['X-Forwarded-Host', 'a', 'X-Forwarded-Host', 'a'], 'mistake'],
    ['Forwarded', ['Forwarded', 'for=1.2.3.4;proto=https;host=a'], '1.2.3.4 https a'],
    ['Forwarded over IPv6', ['Forwarded', 'For="[2001:DB8::1]:4711"; by=_x'], '2001:db8::1 http'],
    [
      'Forwarded of several hops',
      [
        'Forwarded',
        'for=6.6.6.6;proto=http, for=1.2.3.4;proto=https',
        'Forwarded',
        'for=10.2.2.2;proto=http',
      ],
      '1.2.3.4 https',
    ],
    ['Forwarded without an address', ['Forwarded', 'proto=https'], 'mistake'],
    ['Forwarded that hides the address', ['Forwarded', 'for=_hidden'], 'mistake'],
    ['Forwarded of an unknown', ['Forwarded', 'for=unknown'], 'mistake'],
    ['Forwarded with an open quote', ['Forwarded', 'for="1.2.3.4'], 'mistake'],
    ['Forwarded with a parameter twice', ['Forwarded', 'for=1.2.3.4;for=6.6.6.6'], 'mistake'],
    ['Forwarded with IPv6 outside of quotes', ['Forwarded', 'for=[2001:db8::1]'], 'mistake'],
    ['Forwarded with an empty element', ['Forwarded', 'for=1.2.3.4,'], 'mistake'],
    ['Forwarded with an unknown parameter', ['Forwarded', 'for=1.2.3.4;secret=x'], 'mistake'],
    ['Forwarded with junk at the end', ['Forwarded', 'for=1.2.3.4 x'], 'mistake'],
    ['Forwarded with a scheme that is none', ['Forwarded', 'for=1.2.3.4;proto=x'], 'mistake'],
    ['both ways that agree', [...XFF('1.2.3.4'), 'Forwarded', 'for=1.2.3.4'], '1.2.3.4 http'],
    ['both ways that contradict', [...XFF('1.2.3.4'), 'Forwarded', 'for=6.6.6.6'], 'mistake'],
    [
      'both ways with different schemes',
      ['X-Forwarded-Proto', 'https', 'Forwarded', 'for=1.2.3.4;proto=http'],
      'mistake',
    ],
  ]
  for (const [name, headers, expected, from] of cases) {
    test(name, () => assert.equal(ask(headers, from === undefined ? {} : { from }), expected))
  }

  test('only the headers that are listed with the very peer are believed', () => {
    const proxies: readonly TrustedProxyConfig[] = [
      { cidrs: ['10.0.0.0/8'], headers: ['x-forwarded-for'] },
      { cidrs: ['172.16.0.0/12'], headers: ['x-forwarded-proto'] },
    ]
    const headers = [
      ...XFF('1.2.3.4'),
      'X-Forwarded-Proto',
      'https',
      'X-Forwarded-Host',
      'evil',
      'Forwarded',
      'junk',
    ]
    assert.equal(ask(headers, { proxies }), '1.2.3.4 http')
    assert.equal(ask(headers, { proxies, from: '172.16.0.1' }), '172.16.0.1 https')
    // A hop that is trusted for the scheme alone says nothing of who is behind it.
    assert.equal(ask(XFF('1.2.3.4, 172.16.0.1'), { proxies }), '172.16.0.1 http')
  })

  test('with no proxies nothing is believed, and TLS is the scheme', () => {
    const read = createClientReader([])
    const headers = XFF('1.2.3.4')
    const names = ['x-forwarded-for']
    assert.deepEqual(read({ remoteAddress: '::ffff:9.9.9.9', tls: true, headers, names }), {
      ip: '9.9.9.9',
      scheme: 'https',
      host: null,
    })
  })
})

describe('trusted proxies that are a mistake', () => {
  const problems = (...cidrs: readonly string[]): readonly Problem[] => {
    const found: Problem[] = []
    checkTrustedProxies([{ cidrs: [...cidrs], headers: ['forwarded'] }], (problem) => found.push(problem))
    return found
  }

  for (const cidr of ['0.0.0.0/0', '::/0', '10.0.0.0/0', 'fd00::/0', '::ffff:0.0.0.0/96', '::ffff:0:0/96']) {
    test(`${cidr} is everybody`, () => {
      const [problem, ...others] = problems('10.0.0.0/8', cidr)
      assert.deepEqual(problem?.path, ['trustedProxies', 0, 'cidrs', 1])
      assert.match(problem.message, /everybody/)
      assert.deepEqual(others, [])
    })
  }

  test('ranges that are everybody together', () => {
    assert.deepEqual(problems('0.0.0.0/1', '128.0.0.0/1')[0]?.path, ['trustedProxies'])
    assert.deepEqual(problems('8000::/1', '::/2', '4000::/2')[0]?.path, ['trustedProxies'])
    assert.deepEqual(problems('0.0.0.0/1', '128.0.0.0/2'), [])
  })

  for (const text of [
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0/8',
    'fd00::/129',
    'proxy.example.com',
    '10.0.0.0/8x',
    '10.0.0.0/08',
    '',
  ]) {
    test(`${JSON.stringify(text)} is no range`, () => {
      assert.deepEqual(problems(text)[0]?.path, ['trustedProxies', 0, 'cidrs', 0])
    })
  }

  test('ordinary ranges are fine', () => {
    assert.deepEqual(problems('10.0.0.0/8', '::1', '127.0.0.1/32', 'fd00::/8', '::ffff:10.0.0.0/104'), [])
  })
})
