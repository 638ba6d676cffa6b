import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  addCookies,
  rawPairs,
  reasonPhrase,
  responseHeaders,
  responseTrailers,
} from '../../../src/gateway/enforce/response-headers.ts'

const passed = (pairs: readonly string[], trailers = true): readonly string[] | null =>
  responseHeaders(pairs, { trailers })

describe('a field of an answer', () => {
  for (const name of [
    ...['Connection', 'Keep-Alive', 'Proxy-Connection', 'Proxy-Authenticate', 'Upgrade', 'TE'],
    ...['Sallyport-Decision-Id', 'sallyport-assertion', 'SALLYPORT-X'],
  ]) {
    it(`named ${name} does not pass`, () => {
      assert.deepEqual(passed([name, 'x', 'A', '1']), ['A', '1'])
    })
  }

  it('passes otherwise, with its spelling, order, repetition and bytes', () => {
    const pairs = ['Set-Cookie', 'a=1', 'x-ODD', '', 'Date', 'd', 'set-cookie', 'b=2', 'X-L', 'caf\xe9\t\x80']
    assert.deepEqual(passed(pairs), pairs)
  })

  it('does not pass when Connection names it, unless it is for the caller', () => {
    assert.deepEqual(passed(['X-Hop', '1', 'Connection', 'x-hop, Content-Type', 'Content-Type', 'a/b']), [
      'Content-Type',
      'a/b',
    ])
  })

  for (const value of ['a\nb', 'a\rb', 'a\0b', 'a\x7fb', 'a\x01b', 'a\u0100b']) {
    it(`makes the answer unusable when it holds ${JSON.stringify(value)}`, () => {
      assert.equal(passed(['X', value]), null)
    })
  }
})

describe('a cookie of the gateway', () => {
  for (const cookie of [
    'sallyport-browser=x',
    '__Host-sallyport-browser=x; Path=/; Secure',
    '__host-SALLYPORT-browser.0 = x',
    ' sallyport-browser',
    '=sallyport-browser=x',
    ' = sallyport-browser=x',
  ]) {
    it(`is not the application's to set as ${JSON.stringify(cookie)}`, () => {
      assert.deepEqual(passed(['Set-Cookie', cookie, 'Set-Cookie', 'a=sallyport-x']), [
        'Set-Cookie',
        'a=sallyport-x',
      ])
    })
  }

  it('makes the answer one that nobody keeps', () => {
    const headers = ['Cache-Control', 'public, max-age=60', 'A', '1', 'Expires', 'tomorrow']
    addCookies(headers, ['sallyport-x=1', 'sallyport-y=2'])
    const cookies = ['Set-Cookie', 'sallyport-x=1', 'Set-Cookie', 'sallyport-y=2']
    assert.deepEqual(headers, ['A', '1', 'Cache-Control', 'no-store', ...cookies])
  })

  it('changes nothing where there is none', () => {
    const headers = ['Cache-Control', 'public']
    addCookies(headers, [])
    assert.deepEqual(headers, ['Cache-Control', 'public'])
  })
})

describe('the framing of an answer', () => {
  it('is not passed on but undone', () => {
    assert.deepEqual(passed(['Transfer-Encoding', ' Chunked ', 'A', '1']), ['A', '1'])
  })

  for (const codings of [
    ['gzip, chunked'],
    ['gzip'],
    ['identity'],
    ['chunked', 'chunked'],
    ['chunked, chunked'],
    [''],
  ]) {
    it(`makes the answer unusable when it is ${JSON.stringify(codings)}`, () => {
      assert.equal(passed(codings.flatMap((coding) => ['Transfer-Encoding', coding])), null)
    })
  }

  it('announces trailers only where there can be some', () => {
    assert.deepEqual(passed(['Trailer', 'X']), ['Trailer', 'X'])
    assert.deepEqual(passed(['Trailer', 'X'], false), [])
    assert.deepEqual(passed(['trailer', 'X', 'Content-Length', '2']), ['Content-Length', '2'])
  })
})

describe('the trailers of an answer', () => {
  it('pass but for framing, for what must come first, and for what only the gateway may say', () => {
    const pairs = [
      'X-Sum',
      '1',
      'Content-Length',
      '9',
      'Set-Cookie',
      'a',
      'Sallyport-X',
      '1',
      'x-sum',
      '2',
      'Bad',
      'a\nb',
    ]
    assert.deepEqual(responseTrailers(pairs), ['X-Sum', '1', 'x-sum', '2'])
  })
})

describe('what undici gives', () => {
  it('is read as Latin-1', () => {
    assert.deepEqual(rawPairs([Buffer.from('X'), Buffer.from([0xe9])]), ['X', '\xe9'])
    assert.deepEqual(rawPairs(null), [])
  })

  it('is a reason phrase only when it is printable', () => {
    assert.equal(reasonPhrase('Fine: by me'), 'Fine: by me')
    for (const bad of ['caf\u00e9', '\ufffd', 'a\r\nX: y', undefined]) assert.equal(reasonPhrase(bad), '')
  })
})
