import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createHeaderCheck, isHeaderMistake } from '../../../src/gateway/accept/header-checks.ts'

const check = createHeaderCheck(new Set(['x-remote-user', 'x-api-key']))

const verdict = (headers: readonly string[], httpVersion: '1.0' | '1.1' = '1.1'): string => {
  const checked = check(['Host', 'a', ...headers], httpVersion)
  return isHeaderMistake(checked) ? checked.mistake : 'fine'
}

test('names come back in lower case, one a field, and so does the host', () => {
  assert.deepEqual(check(['hOST', 'A', 'X-A', '1', 'x-a', '2'], '1.1'), {
    names: ['host', 'x-a', 'x-a'],
    host: 'A',
  })
})

describe('fields that pass', () => {
  const fine: Readonly<Record<string, readonly string[]>> = {
    'the true names of guarded headers': ['X-Remote-User', 'a', 'x-api-key', 'b', 'Forwarded', 'for=1.2.3.4'],
    'an underscore name that is no alias': ['X_Custom', '1', 'my_header', '2', 'sallyport_not', '3'].slice(
      0,
      4,
    ),
    'a dot name that is no alias': ['x.custom', '1'],
    'odd token characters': ["!#$%&'*+-^`|~", '1'],
    'a tab, Latin-1 and nothing in values': ['X-A', 'a\tb', 'X-B', 'caf\xe9', 'X-C', ''],
    'Content-Length alone': ['Content-Length', '0', 'X-A', '1'],
    'Transfer-Encoding chunked in any case': ['transfer-encoding', 'Chunked'],
    'one Authorization': ['Authorization', 'Bearer x'],
    'several cookies': ['Cookie', 'a=1', 'Cookie', 'b=2'],
  }
  for (const [name, headers] of Object.entries(fine)) test(name, () => assert.equal(verdict(headers), 'fine'))
})

describe('fields that are refused', () => {
  const alias = 'an alias of a header that is not for callers to set'
  const refused: readonly (readonly [mistake: string, headers: readonly string[]])[] = [
    ...[
      ...['X_Remote_User', 'x_remote-user', 'X.Remote.User', 'x-remote_user', 'X~Remote~User', 'X_API_KEY'],
      ...[
        'X_Forwarded_Proto',
        'x-forwarded_for',
        'X.Forwarded.Anything',
        'Sallyport_Assertion',
        'sallyport.x',
      ],
      ...['X_Real_IP', 'X_HTTP_Method_Override', 'Content_Length', 'content.length', 'Transfer_Encoding'],
      ...['Proxy_Authorization', 'x.original.url', 'HTTP2_Settings', 'true_client_ip'],
    ].map((name) => [alias, [name, '1']] as const),
    ['a header name that is not a token', ['X A', '1']],
    ['a header name that is not a token', ['', '1']],
    ['a header name that is not a token', ['X:A', '1']],
    ['a header name that is not a token', ['X-\xc9', '1']],
    ['a header name that is not a token', ['X(A', '1']],
    ['a control character in a header value', ['X-A', 'a\r\nX-B: c']],
    ['a control character in a header value', ['X-A', 'a\nb']],
    ['a control character in a header value', ['X-A', 'a\0']],
    ['a control character in a header value', ['X-A', '\x7f']],
    ['a control character in a header value', ['X-A', 'a\u0100']],
    ['several Host headers', ['host', 'a']],
    ['several Authorization headers', ['Authorization', 'Bearer x', 'authorization', 'Bearer x']],
    ['several Content-Length headers', ['Content-Length', '1', 'content-length', '1']],
    ['an invalid Content-Length', ['Content-Length', '']],
    ['an invalid Content-Length', ['Content-Length', '+1']],
    ['an invalid Content-Length', ['Content-Length', '1, 1']],
    ['an invalid Content-Length', ['Content-Length', '0x1']],
    ['an invalid Content-Length', ['Content-Length', '9'.repeat(16)]],
    ['Content-Length with Transfer-Encoding', ['Content-Length', '1', 'Transfer-Encoding', 'chunked']],
    ['several Transfer-Encoding headers', ['Transfer-Encoding', 'chunked', 'Transfer-Encoding', 'chunked']],
    ...[
      'gzip, chunked',
      'identity, chunked',
      'chunked, identity',
      'xchunked',
      'chunked;q=1',
      '"chunked"',
      '',
      'identity',
    ].map((coding) => ['a Transfer-Encoding other than chunked', ['Transfer-Encoding', coding]] as const),
  ]
  for (const [mistake, headers] of refused) {
    test(`${mistake}: ${JSON.stringify(headers)}`, () => assert.equal(verdict(headers), mistake))
  }

  test('no Host, also in HTTP/1.0', () => {
    assert.deepEqual(check([], '1.1'), { mistake: 'no Host header' })
    assert.deepEqual(check([], '1.0'), { mistake: 'no Host header' })
  })

  test('Transfer-Encoding in HTTP/1.0', () => {
    assert.equal(verdict(['Transfer-Encoding', 'chunked'], '1.0'), 'Transfer-Encoding in HTTP/1.0')
  })
})

test('the hyphenated form is the alias when the guarded name itself has an underscore', () => {
  const odd = createHeaderCheck(new Set(['api_key']))
  assert.ok(!isHeaderMistake(odd(['Host', 'a', 'API_Key', '1'], '1.1')))
  assert.ok(isHeaderMistake(odd(['Host', 'a', 'Api-Key', '1'], '1.1')))
  assert.ok(isHeaderMistake(odd(['Host', 'a', 'Api.Key', '1'], '1.1')))
})
