import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  cookieName,
  MOST_SESSION_CHARACTERS,
  readSessionCookie,
  writeSessionCookie,
} from '../../../src/gateway/authenticate/session-cookies.ts'

const SECURE = { scheme: 'https', host: 'bank.example' } as const
const LOCAL = { scheme: 'http', host: 'localhost' } as const

/** What a browser sends back after these answers. */
const jarAfter = (setCookies: readonly string[], jar: ReadonlyMap<string, string>): Map<string, string> => {
  const next = new Map(jar)
  for (const cookie of setCookies) {
    const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(cookie) ?? []
    if (cookie.includes('Max-Age=0')) next.delete(name)
    else next.set(name, value)
  }
  return next
}

const headerOf = (jar: ReadonlyMap<string, string>): string =>
  [...jar].map(([name, value]) => `${name}=${value}`).join('; ')

describe('the cookie of a session', () => {
  test('has the prefix that keeps other hosts out, and every attribute', () => {
    assert.deepEqual(writeSessionCookie('browser', { value: 'x', maxAgeSeconds: 60 }, '', SECURE), [
      '__Host-sallyport-browser=x; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax',
    ])
  })

  test('has a plain name on plain http to this machine, and none on plain http to another', () => {
    assert.deepEqual(writeSessionCookie('browser', { value: 'x', maxAgeSeconds: 60 }, '', LOCAL), [
      'sallyport-browser=x; Path=/; Max-Age=60; HttpOnly; SameSite=Lax',
    ])
    for (const host of ['localhost', 'app.localhost', '127.0.0.1', '127.9.9.9', '[::1]'])
      assert.equal(cookieName('browser', { scheme: 'http', host }), 'sallyport-browser', host)
    for (const host of ['bank.example', 'localhost.example', '10.0.0.1', '127.evil.example', '[::2]'])
      assert.equal(cookieName('browser', { scheme: 'http', host }), null, host)
  })

  test('is read by the name that its place has, and by no other', () => {
    assert.equal(readSessionCookie('a=1; __Host-sallyport-browser=x', 'browser', SECURE), 'x')
    assert.equal(readSessionCookie('sallyport-browser=x', 'browser', SECURE), null)
    assert.equal(readSessionCookie('__Host-sallyport-browser=x', 'browser', LOCAL), null)
    assert.equal(readSessionCookie('__Host-sallyport-browser2=x', 'browser', SECURE), null)
    assert.equal(readSessionCookie('', 'browser', SECURE), null)
  })

  test('is a bad one when it is there twice', () => {
    assert.equal(readSessionCookie('sallyport-browser=x; sallyport-browser=y', 'browser', LOCAL), '')
    assert.equal(readSessionCookie('sallyport-browser=x; sallyport-browser.0=y', 'browser', LOCAL), '')
    assert.equal(readSessionCookie('sallyport-browser.0=x; sallyport-browser.0=y', 'browser', LOCAL), '')
  })

  test('is cut into parts when it is long, and comes back whole', () => {
    let jar = new Map<string, string>()
    for (const length of [10, 9000, MOST_SESSION_CHARACTERS, 4000, 3800, 3801, 1]) {
      const value = 'abcdefghij'.repeat(Math.ceil(length / 10)).slice(0, length)
      const set = writeSessionCookie('browser', { value, maxAgeSeconds: 60 }, headerOf(jar), SECURE)
      for (const cookie of set) assert.ok((cookie.split(';')[0]?.length ?? 0) <= 4096)
      jar = jarAfter(set, jar)
      assert.equal(readSessionCookie(`a=1; ${headerOf(jar)}`, 'browser', SECURE), value)
    }
    const gone = writeSessionCookie('browser', { value: '', maxAgeSeconds: 0 }, headerOf(jar), SECURE)
    assert.equal(jarAfter(gone, jar).size, 0)
  })

  test('in several parts does not depend on their order', () => {
    const header = 'sallyport-browser.1=b; sallyport-browser.0=a; sallyport-browser.2=c'
    assert.equal(readSessionCookie(header, 'browser', LOCAL), 'abc')
  })
})
