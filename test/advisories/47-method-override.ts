// Method override (Rails, Symfony CVE-2021-32693's neighbourhood, Express `method-override`; Rack CVE-2013-0263's
// kin): a gateway decides on POST, or lets a GET pass, and the framework behind it reads `X-HTTP-Method-Override:
// DELETE`. Odd methods have the same effect where they fall to a default. Sallyport removes these headers on every
// route, matches methods exactly, and forwards the very method that it decided on.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rawRequest } from '../support/raw-http.ts'
import { assertForwarded, assertRefused, useTown } from './world.ts'

const town = useTown()

const NAMES = [
  'X-HTTP-Method',
  'X-HTTP-Method-Override',
  'X-Method-Override',
  'x-http-method-override',
  'X-HTTP-METHOD',
]
for (const name of NAMES) {
  test(`${name} goes no further, and changes no decision`, async () => {
    for (const target of ['/accounts/7', '/public/x', '/files/a']) {
      const headers = [`${name}: DELETE`, `${name}: PUT`]
      const seen = await town.ask({ target, headers })
      const request = assertForwarded(seen, target)
      assert.deepEqual(request.header(name), [])
      assert.ok(request.requestLine.startsWith('GET '))
      assert.equal(Reflect.get(Object(seen.record.request), 'method'), 'GET')
    }
  })

  test(`${name} with an underscore or a dot is refused`, async () => {
    for (const character of ['_', '.']) {
      const headers = [`${name.replaceAll('-', character)}: DELETE`]
      assertRefused(await town.ask({ target: '/public/x', headers }), 400, 'bad_request')
    }
  })
}

test('neither a header nor a query makes another method of a GET', async () => {
  for (const headers of [['X-HTTP-Method-Override: GET'], ['X-HTTP-Method: HEAD'], []]) {
    assertRefused(await town.ask({ method: 'DELETE', target: '/accounts/7', headers }), 404, 'no_route')
    assertRefused(
      await town.ask({ method: 'POST', target: '/public/x?_method=GET', headers }),
      404,
      'no_route',
    )
  }
})

for (const method of [
  'get',
  'Get',
  'GET\t',
  'GETX',
  'G\xcbT',
  'TRACK',
  'FOO',
  'PRI',
  '"GET"',
  'GET,POST',
  '*',
]) {
  test(`the method ${JSON.stringify(method)} is refused`, async () => {
    assertRefused(await town.ask({ method, target: '/public/x', as: null }), 400, 'bad_request')
    assertRefused(await town.ask({ method, target: '/files/a' }), 400, 'bad_request')
  })
}

test('methods that a route does not name are no route, on public ones too', async () => {
  for (const method of ['TRACE', 'PROPFIND', 'PATCH', 'PURGE', 'OPTIONS', 'LINK']) {
    assertRefused(await town.ask({ method, target: '/public/x', as: null }), 404, 'no_route')
  }
})

test('HEAD is decided as HEAD by the route for GET, and forwarded as HEAD', async () => {
  const { port, records } = town.gateway()
  const next = town.backend().request()
  const { status, body } = await rawRequest(port, town.head({ method: 'HEAD' }), { head: true })
  assert.deepEqual([status, body.length], [200, 0])
  assert.equal((await next).requestLine, 'HEAD /accounts/7 HTTP/1.1')
  assert.equal(Reflect.get(Object(records().at(-1)?.request), 'method'), 'HEAD')
})
