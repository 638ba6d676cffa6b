// nginx `location /files { alias /srv/files/; }` (BreakingFastTest, Orange Tsai 2018): the prefix ends inside of a
// segment, so that `/files../secret` is taken for `/files` with `../secret` behind it, and the alias becomes
// `/srv/files/../secret`. The same is done to `proxy_pass` prefixes. Templates of Sallyport match whole segments, and
// a rewrite is built of whole values.
import { test } from 'node:test'
import { assertForwarded, assertRefused, useTown } from './world.ts'

const town = useTown({
  routes: `
  - { name: alias, match: "GET /static/{*rest}", access: public, rewrite: "$'/public/' + path.rest" }
`,
})

const PREFIXES = ['/static', '/public', '/admin', '/accounts']
const TAILS = [
  '../admin/x',
  '.../admin',
  './admin/x',
  '..',
  '..%2fadmin',
  '%2e%2e/admin',
  '..;/admin',
  '~/x',
  'x/admin',
]

for (const prefix of PREFIXES) {
  for (const tail of TAILS) {
    test(`${prefix}${tail} is no part of ${prefix}`, async () => {
      const odd = /%2f|;/.test(tail)
      assertRefused(
        await town.ask({ target: prefix + tail }),
        odd ? 400 : 404,
        odd ? 'bad_request' : 'no_route',
      )
    })
  }
}

test('the prefix itself has an empty tail, and names with dots are names', async () => {
  for (const target of ['/static', '/static/']) {
    assertForwarded(await town.ask({ target, as: null }), '/public/')
  }
  assertForwarded(await town.ask({ target: '/static/..x/a..', as: null }), '/public/..x/a..')
})
