import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isRefusal } from '../../../src/core/refusals.ts'
import { createAccept } from '../../../src/gateway/accept/accept.ts'
import { compileRoutes } from '../../../src/gateway/accept/route-table.ts'
import { rawUntilClosed } from '../../support/raw-http.ts'
import { answerOk, answerRefused, fixedClock, startListener } from './support.ts'

const accept = createAccept({
  table: compileRoutes([], () => undefined),
  listeners: new Map(),
  guardedHeaders: new Set(['x-remote-user']),
  clock: fixedClock,
})

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n'
const CHUNKS = `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`

/** What Node's parser hands out, although two parsers could see different requests in it. */
const ATTACKS: Readonly<Record<string, string>> = {
  'a coding before chunked': `POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n${CHUNKS}`,
  'identity before chunked': `POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity, chunked\r\n\r\n${CHUNKS}`,
  'a coding that only ends like chunked': `POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n${SMUGGLED}`,
  'chunked in HTTP/1.0': `POST /a HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n${CHUNKS}`,
  'no Host': `GET /a HTTP/1.1\r\n\r\n${SMUGGLED}`,
  'no Host in HTTP/1.0': `GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n${SMUGGLED}`,
  'two Host headers': `GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n${SMUGGLED}`,
  'a Host with more in it': `GET /a HTTP/1.1\r\nHost: a;proto=https,for=1.2.3.4\r\n\r\n${SMUGGLED}`,
  'an alias of Content-Length': `POST /a HTTP/1.1\r\nHost: a\r\nContent_Length: ${SMUGGLED.length}\r\n\r\n${SMUGGLED}`,
  'an alias of Transfer-Encoding': `POST /a HTTP/1.1\r\nHost: a\r\nTransfer.Encoding: chunked\r\n\r\n${CHUNKS}${SMUGGLED}`,
  'an alias of an identity header': `GET /a HTTP/1.1\r\nHost: a\r\nX_Remote_User: admin\r\n\r\n${SMUGGLED}`,
}

for (const [name, bytes] of Object.entries(ATTACKS)) {
  test(`${name} is 400 once, and the bytes behind it are never a request`, async (t) => {
    const { port, listener, exchanges, refused } = await startListener((exchange) => {
      const result = accept(exchange.head)
      if (isRefusal(result)) answerRefused(exchange, result)
      else answerOk(exchange)
    })
    t.after(() => listener.close(0))
    const { responses, end } = await rawUntilClosed(port, bytes)
    assert.equal(end, 'end')
    assert.deepEqual(
      responses.map(({ status }) => status),
      [400],
    )
    assert.deepEqual(
      exchanges.map(({ head }) => head.target),
      ['/a'],
    )
    assert.deepEqual(refused, [])
  })
}
