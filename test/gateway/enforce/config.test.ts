import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { z } from 'zod'
import { secret } from '../../../src/core/secret.ts'
import type { Settings } from '../../../src/core/settings.ts'
import {
  assertionConfig,
  checkUpstream,
  upstreamConfig,
  upstreamUrls,
} from '../../../src/gateway/enforce/config.ts'
import {
  isIdempotent,
  isStale,
  isUnanswered,
  mayGoElsewhere,
  refusalOf,
} from '../../../src/gateway/enforce/upstream-failure.ts'

const settings: Settings = {
  path: () => z.string(),
  glob: () => z.string(),
  duration: () =>
    z.string().transform((text) => Number.parseInt(text, 10) * (text.endsWith('ms') ? 1 : 1000)),
  secret: () => z.object({ env: z.string() }).transform(() => secret('')),
  url: () => z.url(),
}

const upstream = (config: object) => upstreamConfig(settings).parse(config)

describe('the configuration of an upstream', () => {
  it('has defaults for all but its url', () => {
    assert.deepEqual(upstream({ url: 'http://127.0.0.1:9000' }), {
      url: 'http://127.0.0.1:9000',
      host: 'preserve',
      forwardCredential: false,
      connectTimeout: 2000,
      headersTimeout: 30_000,
      stallTimeout: 60_000,
      keepAliveTimeout: 4000,
      breaker: { failures: 3, trialEvery: 2000 },
      maxHeaderBytes: 65_536,
    })
  })

  it('knows no other keys', () => {
    assert.throws(() => upstream({ url: 'http://a', timeout: '1s' }))
  })

  for (const [name, config, path] of [
    ['no url', {}, []],
    ['url and urls', { url: 'http://a', urls: ['http://b'] }, ['urls']],
    ['a path', { url: 'http://a/b' }, ['url']],
    ['a path among several', { urls: ['http://a', 'http://b/c/'] }, ['urls', 1]],
    ['a host that is none', { url: 'http://a', host: 'a b' }, ['host']],
    ['a host that is a URL', { url: 'http://a', host: 'http://b' }, ['host']],
    ['a host that would break out of its line', { url: 'http://a', host: 'b\r\nX: y' }, ['host']],
  ] as const) {
    it(`may not have ${name}`, () => {
      assert.deepEqual(
        checkUpstream(upstream(config)).map((problem) => problem.path),
        [path],
      )
    })
  }

  for (const host of ['preserve', 'upstream', 'legacy.internal', 'legacy_1:8080', '[::1]:80', '10.0.0.1']) {
    it(`may have host: ${host}`, () => {
      assert.deepEqual(checkUpstream(upstream({ url: 'http://a/', host })), [])
    })
  }

  it('gives every origin in order', () => {
    assert.deepEqual(upstreamUrls(upstream({ url: 'http://a' })), ['http://a'])
    assert.deepEqual(upstreamUrls(upstream({ urls: ['http://a', 'http://b'] })), ['http://a', 'http://b'])
  })

  it('comes with that of assertions', () => {
    assert.deepEqual(assertionConfig(settings).parse({}), { ttl: 60_000, issuer: 'sallyport' })
  })
})

describe('the failure of an upstream', () => {
  for (const [code, refusal] of [
    ['ECONNREFUSED', 'upstream_unavailable'],
    ['ENOTFOUND', 'upstream_unavailable'],
    ['EAI_AGAIN', 'upstream_unavailable'],
    ['UND_ERR_SOCKET', 'upstream_unavailable'],
    ['constructor', 'upstream_unavailable'],
    ['UND_ERR_CONNECT_TIMEOUT', 'upstream_timeout'],
    ['UND_ERR_HEADERS_TIMEOUT', 'upstream_timeout'],
    ['ETIMEDOUT', 'upstream_timeout'],
    ['UND_ERR_INVALID_ARG', 'internal'],
  ] as const) {
    it(`with ${code} is ${refusal}, refused by enforce`, () => {
      const refused = refusalOf({ code, answered: false }, 'core')
      assert.deepEqual(refused, { refusal, stage: 'enforce', detail: `upstream core failed with ${code}` })
    })
  }

  it('is retried only where nothing could have happened twice', () => {
    const stale = { code: 'UND_ERR_SOCKET', answered: false }
    assert.ok(isStale(stale))
    assert.ok(!isStale({ ...stale, answered: true }))
    assert.ok(!isStale({ ...stale, code: 'UND_ERR_HEADERS_TIMEOUT' }))
    assert.deepEqual(['GET', 'PUT', 'DELETE', 'POST', 'PATCH', 'PURGE', 'get'].map(isIdempotent), [
      ...[true, true, true],
      ...[false, false, false, false],
    ])
  })

  it('goes to another origin only when nothing of it was sent, and for no fault of this gateway', () => {
    const refused = { code: 'ECONNREFUSED', answered: false }
    assert.ok(mayGoElsewhere({ ...refused, unsent: true }))
    assert.ok(!mayGoElsewhere(refused))
    for (const code of ['UND_ERR_DESTROYED', 'UND_ERR_CLOSED', 'UND_ERR_INVALID_ARG'])
      assert.ok(!mayGoElsewhere({ code, answered: false, unsent: true }))
  })

  it('counts against its origin when that reset it or kept silent', () => {
    const silent = { code: 'UND_ERR_HEADERS_TIMEOUT', answered: false }
    assert.ok(isUnanswered(silent))
    assert.ok(isUnanswered({ ...silent, code: 'ECONNRESET' }))
    assert.ok(!isUnanswered({ ...silent, answered: true }))
    assert.ok(!isUnanswered({ ...silent, code: 'UND_ERR_DESTROYED' }))
  })
})
