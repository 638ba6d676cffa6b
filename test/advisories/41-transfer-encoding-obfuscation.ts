// TE.TE (Kettle 2019; Tomcat CVE-2021-33037, Netty CVE-2020-7238, Node CVE-2022-32213 to -32215): `Transfer-Encoding`
// is written so that one of two servers does not know it, and frames the body by `Content-Length` or not at all; the
// rest is the next caller's request. Sallyport takes `chunked` alone, once, without Content-Length, in HTTP/1.1; all
// else is refused with the connection, and what goes on is framed anew.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HOST } from '../e2e/city.ts'
import { assertForwarded, useTown } from './world.ts'

const town = useTown()

const SMUGGLED = `GET /health HTTP/1.1\r\nHost: ${HOST}\r\nX: y\r\n\r\n`
const CHUNKS = `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`
const LENGTH = `Content-Length: ${CHUNKS.length}`

const CODINGS: readonly (readonly string[])[] = [
  ['Transfer-Encoding: \x0bchunked'],
  ['Transfer-Encoding: chunked\x0b'],
  ['Transfer-Encoding: \x0cchunked'],
  ['Transfer-Encoding : chunked'],
  ['Transfer-Encoding\t: chunked'],
  [' Transfer-Encoding: chunked'],
  ['X: y\nTransfer-Encoding: chunked'],
  ['Transfer-Encoding:\r\n chunked'],
  ['Transfer-Encoding: xchunked'],
  ['Transfer-Encoding: chunkedx'],
  ['Transfer-Encoding: "chunked"'],
  ["Transfer-Encoding: 'chunked'"],
  ['Transfer-Encoding: chunked;q=1'],
  ['Transfer-Encoding: chunked, identity'],
  ['Transfer-Encoding: identity, chunked'],
  ['Transfer-Encoding: gzip, chunked'],
  ['Transfer-Encoding: chunked, chunked'],
  ['Transfer-Encoding: ,chunked'],
  ['Transfer-Encoding: chunked,'],
  ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'],
  ['Transfer-Encoding: chunked', 'Transfer-Encoding: x'],
  ['Transfer-Encoding: x', 'Transfer-Encoding: chunked'],
  ['Transfer-Encoding:'],
  ['Transfer-Encoding: identity'],
  ['Transfer_Encoding: chunked'],
  ['Transfer.Encoding: chunked'],
  ['Transfer-\xc8ncoding: chunked'],
  ['Transfer-Encoding: chunked', LENGTH],
  [LENGTH, 'Transfer-Encoding: chunked'],
  ['Transfer-Encoding: CHUNKED', 'Content-Length: 0'],
]
for (const headers of CODINGS) {
  test(`${JSON.stringify(headers)} is refused, and its body is never a request`, async () => {
    for (const more of headers.includes(LENGTH) ? [[]] : [[], [LENGTH]]) {
      const head = town.head({ method: 'PUT', target: '/files/a', headers: [...headers, ...more] })
      const { statuses, forwarded, records } = await town.converse(head + CHUNKS + SMUGGLED)
      assert.deepEqual([statuses, forwarded], [[400], []])
      assert.deepEqual(
        records.map(({ decision }) => decision),
        ['deny'],
      )
    }
  })
}

test('chunked in HTTP/1.0 is refused', async () => {
  const head = town.head({ method: 'PUT', target: '/files/a', headers: ['Transfer-Encoding: chunked'] })
  const { statuses, forwarded } = await town.converse(head.replace('HTTP/1.1', 'HTTP/1.0') + CHUNKS)
  assert.deepEqual([statuses, forwarded], [[400], []])
})

for (const coding of ['chunked', 'Chunked', 'CHUNKED', '\tchunked ']) {
  test(`${JSON.stringify(coding)} is chunked, and the application gets it in one spelling`, async () => {
    const head = town.head({ method: 'PUT', target: '/files/a', headers: [`transfer-encoding:${coding}`] })
    const request = assertForwarded(await town.send(head + CHUNKS), '/files/a')
    assert.deepEqual(
      [request.header('transfer-encoding'), request.header('content-length')],
      [['chunked'], []],
    )
    assert.equal(request.body.toString(), SMUGGLED)
  })
}
