import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { prefersHtml } from '../../../src/core/accepts-html.ts'
import { createDeparture } from '../../../src/core/departure.ts'
import type { Exchange } from '../../../src/core/exchange.ts'
import { headerValues } from '../../../src/core/headers.ts'
import { REFUSALS, type RefusalCode, refuse as refusalOf } from '../../../src/core/refusals.ts'
import { refusalAnswer, refuse } from '../../../src/gateway/enforce/refuse.ts'
import { DECISION_ID } from './harness.ts'

// An object's keys are strings to the compiler; these are the table's own.
const CODES = Object.keys(REFUSALS) as RefusalCode[]
const BROWSER = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8'

describe('a caller would rather have', () => {
  for (const [accept, html] of [
    [null, false],
    ['', false],
    ['*/*', false],
    ['application/json', false],
    ['application/json, text/plain, */*', false],
    [BROWSER, true],
    ['text/html', true],
    ['TEXT/HTML;Q=0.5', true],
    ['text/html;q=0', false],
    ['text/html;q=0.5, application/json', false],
    ['text/html, application/json', false],
    ['text/html, application/json;q=0.9', true],
    ['text/html;level=1;q=0.9, */*;q=0.1', true],
    ['text/*, application/xhtml+xml', true],
    ['application/problem+json;q=0.1, text/html;q=0.2', true],
    ['text/html;q=nonsense', false],
    ['text/html;q=7', false],
    ['text/htmlx', false],
  ] as const) {
    it(`${html ? 'a page' : 'JSON'}, by ${JSON.stringify(accept)}`, () => {
      assert.equal(prefersHtml(accept), html)
    })
  }
})

describe('a refusal', () => {
  for (const code of CODES) {
    it(`with ${code} has the status of the table and says so in both forms`, () => {
      const refusal = refusalOf('decide', code, 'the operator sees this secret')
      const { status, title } = REFUSALS[code]
      const json = refusalAnswer(refusal, null, DECISION_ID)
      assert.equal(json.status, status)
      assert.deepEqual(JSON.parse(json.body.toString()), {
        type: `urn:sallyport:problem:${code}`,
        title,
        status,
        code,
        decisionId: DECISION_ID,
        instance: `urn:uuid:${DECISION_ID}`,
      })
      const html = refusalAnswer(refusal, BROWSER, DECISION_ID)
      assert.equal(html.status, status)
      const text = html.body.toString()
      for (const part of [`<h1>${title}</h1>`, `>${status}<`, `>${code}<`, DECISION_ID, '<html lang="en">']) {
        assert.ok(text.includes(part), part)
      }
      assert.doesNotMatch(text + json.body.toString(), /secret/)
      assert.deepEqual(headerValues(json.headers, 'retry-after').length, status === 503 ? 1 : 0)
    })
  }

  it('has its own fields, those of its form, and is never kept', () => {
    const refusal = refusalOf('authenticate', 'unauthenticated', 'no credential', {
      headers: ['WWW-Authenticate', 'Bearer', 'WWW-Authenticate', 'Basic realm="a"'],
    })
    const { headers, body } = refusalAnswer(refusal, 'application/json', DECISION_ID)
    assert.deepEqual(headers, [
      ...['Content-Type', 'application/problem+json', 'Content-Length', String(body.length)],
      ...['Cache-Control', 'no-store', 'Vary', 'Accept', 'X-Content-Type-Options', 'nosniff'],
      ...['WWW-Authenticate', 'Bearer', 'WWW-Authenticate', 'Basic realm="a"'],
      ...['Sallyport-Decision-Id', DECISION_ID],
    ])
  })

  it('says Retry-After once', () => {
    const refusal = refusalOf('decide', 'engine_unavailable', 'down', { headers: ['Retry-After', '30'] })
    assert.deepEqual(headerValues(refusalAnswer(refusal, null, null).headers, 'retry-after'), ['30'])
  })

  it('names no decision when none was recorded', () => {
    const { headers, body } = refusalAnswer(refusalOf('accept', 'bad_request', 'x'), null, null)
    assert.deepEqual(headerValues(headers, 'sallyport-decision-id'), [])
    assert.equal(JSON.parse(body.toString()).decisionId, undefined)
  })

  it('shows publicDetail, which cannot become markup', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        const refusal = refusalOf('bind', 'bad_request', 'x', { publicDetail: `<script>${text}"'&` })
        assert.equal(
          JSON.parse(refusalAnswer(refusal, null, null).body.toString()).detail,
          `<script>${text}"'&`,
        )
        const page = refusalAnswer(refusal, BROWSER, null).body.toString()
        assert.doesNotMatch(page, /<script/)
        assert.equal(page.match(/</g)?.length, EMPTY_PAGE.match(/</g)?.length)
      }),
    )
  })

  it('comes as a page that can load and run nothing', () => {
    const [policy = ''] = headerValues(
      refusalAnswer(refusalOf('decide', 'denied', 'x'), BROWSER, null).headers,
      'content-security-policy',
    )
    assert.match(policy, /^default-src 'none'; style-src 'sha256-[A-Za-z0-9+/=]+';/)
  })
})

const EMPTY_PAGE = refusalAnswer(
  refusalOf('bind', 'bad_request', 'x', { publicDetail: '' }),
  BROWSER,
  null,
).body.toString()

describe('an exchange that is refused', () => {
  const exchangeOf = (method: string, headSent: boolean) => {
    const calls: { name: string; args: readonly unknown[] }[] = []
    const note =
      (name: string) =>
      (...args: readonly unknown[]): void => {
        calls.push({ name, args })
      }
    const exchange: Exchange = {
      head: {
        method,
        target: '/',
        httpVersion: '1.1',
        headers: ['Accept', 'text/html', 'accept', '*/*;q=0.1'],
        remoteAddress: '',
        listener: '',
        tls: false,
      },
      body: Readable.from([]),
      reply: {
        headSent: () => headSent,
        informational: note('informational'),
        head: note('head'),
        write: () => true,
        onDrain: note('onDrain'),
        trailers: note('trailers'),
        end: note('end'),
        abort: note('abort'),
      },
      ...createDeparture(),
    }
    return { exchange, calls }
  }
  const refusal = refusalOf('decide', 'denied', 'x')

  it('gets head and content, in the form that all its Accept fields ask for', () => {
    const { exchange, calls } = exchangeOf('GET', false)
    refuse(exchange, refusal, DECISION_ID)
    assert.deepEqual(
      calls.map(({ name }) => name),
      ['head', 'end'],
    )
    assert.equal(calls[0]?.args[0], 403)
    assert.match(String(calls[1]?.args[0]), /^<!doctype html>/)
  })

  it('gets no content for HEAD, but its length', () => {
    const { exchange, calls } = exchangeOf('HEAD', false)
    refuse(exchange, refusal, DECISION_ID)
    assert.deepEqual(calls[1]?.args, [undefined])
    assert.ok(JSON.stringify(calls[0]?.args).includes('Content-Length'))
  })

  it('is cut when its answer has begun', () => {
    const { exchange, calls } = exchangeOf('GET', true)
    refuse(exchange, refusal, DECISION_ID)
    assert.deepEqual(
      calls.map(({ name }) => name),
      ['abort'],
    )
  })
})
