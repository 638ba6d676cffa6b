// CL.CL and kin (Go CVE-2022-1705, aiohttp CVE-2023-37276, Puma CVE-2023-40175, Werkzeug): `Content-Length: +5`, `5,
// 5`, `0x5`, two lengths, or an empty one; whoever reads it otherwise than the gateway ends the body elsewhere. Of
// the same kind is a body where none is expected (CL.0). Sallyport takes one length of plain digits, and what follows
// the body is the next request, or refused.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HOST } from '../e2e/city.ts'
import { assertForwarded, useTown } from './world.ts'

const town = useTown()

const SMUGGLED = `GET /health HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`

const LENGTHS: readonly (readonly string[])[] = [
  ['Content-Length: +5'],
  ['Content-Length: -5'],
  ['Content-Length: 5, 5'],
  ['Content-Length: 5,6'],
  ['Content-Length: 0x5'],
  ['Content-Length: 5e0'],
  ['Content-Length: 5.0'],
  ['Content-Length: 5_0'],
  ['Content-Length: 5 5'],
  ['Content-Length: "5"'],
  ['Content-Length: \x0b5'],
  ['Content-Length: 5\x0b'],
  ['Content-Length:'],
  ['Content-Length: x'],
  ['Content-Length: \xd9\xa5'],
  ['Content-Length: 99999999999999999999'],
  ['Content-Length: 18446744073709551621'],
  ['Content-Length: 5', 'Content-Length: 5'],
  ['Content-Length: 5', 'content-length: 0'],
  ['Content-Length: 0', 'Content-Length: 5'],
  ['Content-Length : 5'],
  ['Content-Length: 5\r\n 0'],
  ['Content_Length: 5'],
  ['Content-Length: 5', 'Content_Length: 0'],
]
for (const headers of LENGTHS) {
  for (const method of ['PUT', 'GET']) {
    test(`${method} with ${JSON.stringify(headers)} is refused once`, async () => {
      const head = town.head({ method, target: '/files/a', headers })
      const { statuses, forwarded } = await town.converse(`${head}hello${SMUGGLED}`)
      assert.deepEqual([statuses, forwarded], [[400], []])
    })
  }
}

for (const method of ['GET', 'DELETE', 'OPTIONS', 'TRACE']) {
  test(`a body of ${method} is framed for the application as it was for the gateway`, async () => {
    const target = '/files/a'
    const body = `Content-Length: ${SMUGGLED.length}`
    const bytes = `${town.head({ method, target, headers: [body] })}${SMUGGLED}@@\r\n\r\n`
    const { forwarded } = await town.converse(bytes)
    const [request, ...others] = forwarded
    assert.ok(request !== undefined && others.length === 0, 'the application is asked once')
    assert.deepEqual(
      [request.header('content-length'), request.body.toString()],
      [[`${SMUGGLED.length}`], SMUGGLED],
    )
  })
}

test('a body without a length is no body, and what is there is read as a request', async () => {
  const { statuses, forwarded } = await town.converse(
    `${town.head({ method: 'PUT', target: '/files/a' })}hello\r\n\r\n`,
  )
  assert.deepEqual(statuses, [200, 400])
  assert.deepEqual([forwarded.length, forwarded[0]?.body.length], [1, 0])
})

test('leading zeros are the same length, in one spelling', async () => {
  const head = town.head({ method: 'PUT', target: '/files/a', headers: ['Content-Length: 0005'] })
  const request = assertForwarded(await town.send(`${head}hello`), '/files/a')
  assert.equal(request.body.toString(), 'hello')
  assert.equal(request.header('content-length').length, 1)
})
