// Squid CVE-2019-12524, curl and URL parsers at large (Orange Tsai, "A New Era of SSRF", 2017):
// `http://city.test@evil.test/`, `http://city.test\@evil.test/` or `http://city.test#@evil.test/` have one authority
// to the parser that chooses the route, and another to the one that connects or builds links. Sallyport takes an
// absolute target only if its authority, without user information, is its Host.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertForwarded, assertRefused, useTown } from './world.ts'

const town = useTown()

const AUTHORITIES = [
  'user@city.test',
  'user:pw@city.test',
  ':@city.test',
  '@city.test',
  'city.test@evil.test',
  'evil.test@city.test',
  'city.test:80@evil.test',
  'city.test\\@evil.test',
  'city.test%40evil.test',
  'city.test%00.evil.test',
  'city.test%2f.evil.test',
  'city.test;evil.test',
  'city.test,evil.test',
  'city.test:80:80',
  'city.test:',
  'city.test:80',
  'city.test:0',
  '[city.test]',
  'city%2etest',
  'city\u3002test',
  'c%C4%B1ty.test',
  '',
]
for (const authority of AUTHORITIES) {
  test(`http://${authority}/health is refused`, async () => {
    const target = Buffer.from(`http://${authority}/health`).toString('latin1')
    assertRefused(await town.ask({ target, as: null }), 400, 'bad_request')
  })
}

for (const host of ['user@city.test', 'city.test@evil.test', 'city.test:80@x', '@city.test']) {
  test(`Host: ${host} is refused, with an absolute target and without`, async () => {
    for (const target of ['/health', `http://${host}/health`]) {
      assertRefused(await town.ask({ target, host, as: null }), 400, 'bad_request')
    }
  })
}

test('an absolute target of the same authority is forwarded as a path, with Host as ever', async () => {
  const seen = await town.ask({ target: 'http://City.test:8080/health', host: 'city.test:8080', as: null })
  assert.deepEqual(assertForwarded(seen, '/health').header('host'), ['city.test:8080'])
})
