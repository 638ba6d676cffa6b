// Traefik GHSA-7jmw-8259-q9jx: an address list of IPv4 ranges did not know `::ffff:10.0.0.66`, the IPv6 spelling of
// the same address. CVE-2024-39321: requests in TLS early data passed the list before the address was known to be
// real; Node's TLS takes no early data at all. Sallyport writes every address in one way, mapped ones as IPv4, before
// a mapping, a range of trusted proxies or the application sees it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertForwarded, assertRefused, resourceOf, useTown } from './world.ts'

const town = useTown({
  settings: {
    listeners:
      '[{ bind: 127.0.0.1:0, trustedProxies: [{ cidrs: [127.0.0.1, 10.1.0.0/16], headers: [x-forwarded-for, forwarded] }] }]',
  },
  routes: `
  - name: from
    match: GET /from
    evaluation: { action: read, resource: { type: Place, id: $request.ip }, context: { ip: $request.ip } }
`,
  policies: `@id("not-from-there")
forbid (principal, action, resource) when { context has ip && ip(context.ip).isInRange(ip("10.0.0.64/26")) };
`,
})

const SPELLINGS = [
  '10.0.0.66',
  '::ffff:10.0.0.66',
  '::FFFF:10.0.0.66',
  '::ffff:a00:42',
  '0:0:0:0:0:ffff:0a00:0042',
]
const MORE = [
  '[::ffff:10.0.0.66]',
  '[::ffff:10.0.0.66]:8080',
  '10.0.0.66:443',
  '10.0.0.66, 10.1.2.3',
  '10.0.0.66, ::ffff:10.1.2.3',
]

for (const address of [...SPELLINGS, ...MORE]) {
  test(`X-Forwarded-For: ${address} is 10.0.0.66 to the policy`, async () => {
    const seen = await town.ask({ target: '/from', headers: [`X-Forwarded-For: ${address}`] })
    assertRefused(seen, 403, 'denied')
    assert.equal(resourceOf(seen), '10.0.0.66')
    assert.deepEqual(seen.record.reasons, ['not-from-there'])
  })
}

for (const node of ['10.0.0.66', '"[::ffff:10.0.0.66]"', '"[::ffff:a00:42]:80"']) {
  test(`Forwarded: for=${node} is 10.0.0.66 to the policy`, async () => {
    const seen = await town.ask({ target: '/from', headers: [`Forwarded: for=${node}`] })
    assertRefused(seen, 403, 'denied')
    assert.equal(resourceOf(seen), '10.0.0.66')
  })
}

for (const address of [
  '0x0a000042',
  '167772226',
  '012.0.0.66',
  '10.0.66',
  '10.0.0.66%eth0',
  '::ffff:10.0.0.066',
  '10.0.0.66/32',
]) {
  test(`X-Forwarded-For: ${address}, which some read as 10.0.0.66, is refused`, async () => {
    assertRefused(
      await town.ask({ target: '/from', headers: [`X-Forwarded-For: ${address}`] }),
      400,
      'bad_request',
    )
  })
}

test('an address outside of the range passes, in the same one spelling', async () => {
  const seen = await town.ask({ target: '/from', headers: ['X-Forwarded-For: ::ffff:198.51.100.7'] })
  const request = assertForwarded(seen, '/from')
  assert.equal(resourceOf(seen), '198.51.100.7')
  assert.deepEqual(request.header('x-forwarded-for'), ['198.51.100.7'])
})
