// "Funky chunks" (Jeppe Bonde Weikop 2025; Node CVE-2023-30589, CVE-2024-22019, Go CVE-2025-22871): one parser ends a
// chunk extension, a chunk size or a chunk at a lone LF or CR, another reads on to CRLF; what lies between is data
// for the one and a request for the other. In Sallyport chunk lines are strict, and the application gets chunks of
// Sallyport's own making, without extensions.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HOST } from '../e2e/city.ts'
import { assertForwarded, useTown } from './world.ts'

const town = useTown()

const SMUGGLED = `GET /health HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`

const BODIES: Readonly<Record<string, string>> = {
  'an LF in an extension': `1;a\nb\r\nx\r\n0\r\n\r\n`,
  'an LF at the end of a size': `1\nx\r\n0\r\n\r\n`,
  'an LF at the end of an extension': `1;a\nx\r\n0\r\n\r\n`,
  'a CR in an extension': `1;a\rb\r\nx\r\n0\r\n\r\n`,
  'an LF behind the data': `1\r\nx\n0\r\n\r\n`,
  'nothing behind the data': `1\r\nx0\r\n\r\n`,
  'two octets more behind the data': `1\r\nxyz\r\n0\r\n\r\n`,
  'a CR and something else behind the data': `1\r\nx\rX0\r\n\r\n`,
  'an LF behind the last chunk': `0\n\r\n`,
  'two LF at the end': `0\r\n\n`,
  'an LF between trailers': `0\r\nX-A: b\n\r\n`,
  'a CR between trailers': `0\r\nX-A: b\rX-B: c\r\n\r\n`,
  'a size with a sign': `+1\r\nx\r\n0\r\n\r\n`,
  'a negative size': `-1\r\nx\r\n0\r\n\r\n`,
  'a size in 0x': `0x1\r\nx\r\n0\r\n\r\n`,
  'a size with an underscore': `1_0\r\nx\r\n0\r\n\r\n`,
  'a blank before a size': ` 1\r\nx\r\n0\r\n\r\n`,
  'a size that overflows': `10000000000000001\r\nx\r\n0\r\n\r\n`,
  'a size of another script': `\xd9\xa1\r\nx\r\n0\r\n\r\n`,
  'no size': `\r\nx\r\n0\r\n\r\n`,
  'an extension of 100 kB': `1;${'a'.repeat(100_000)}\r\nx\r\n0\r\n\r\n`,
  'a NUL in an extension': `1;a\0b\r\nx\r\n0\r\n\r\n`,
}
for (const [what, body] of Object.entries(BODIES)) {
  test(`${what} is refused, and nothing behind it is a request`, async () => {
    const headers = ['Transfer-Encoding: chunked']
    const head = town.head({ method: 'PUT', target: '/files/a', headers })
    const { statuses, forwarded, records } = await town.converse(head + body + SMUGGLED)
    assert.deepEqual([statuses, forwarded], [[400], []])
    assert.equal(records.at(-1)?.decision, 'deny')
    assert.ok(!records.some(({ route }) => route === 'health'))
  })
}

const SAME: Readonly<Record<string, string>> = {
  'an extension': '5;a=b;c="d"\r\nhello\r\n0\r\n\r\n',
  'leading zeros': '00005\r\nhello\r\n000\r\n\r\n',
  'many chunks': '1\r\nh\r\n2\r\nel\r\n2\r\nlo\r\n0;last\r\n\r\n',
}
for (const [what, body] of Object.entries(SAME)) {
  test(`${what} goes no further than the gateway`, async () => {
    const head = town.head({ method: 'PUT', target: '/files/a', headers: ['Transfer-Encoding: chunked'] })
    const request = assertForwarded(await town.send(head + body), '/files/a')
    assert.equal(request.body.toString(), 'hello')
    const framed = request.raw.subarray(request.raw.indexOf('\r\n\r\n') + 4).toString('latin1')
    assert.match(framed, /^(?:[1-9a-f][0-9a-f]*\r\n[a-z]+\r\n)+0\r\n\r\n$/)
  })
}
