// Envoy AI Gateway GHSA-4gph-2hhr-5mwg: attributes for the policy came from a JSON body by a parser that compares
// keys without case and lets the last win; `{"name":"allowed","Name":"forbidden"}` was one thing to the policy and
// another to the application. Where a mapping reads a body, Sallyport refuses keys that are equal, or equal but for
// case, after unescaping, at every depth, in forms too; and it forwards the very octets that it has read.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertForwarded, assertRefused, resourceOf, useTown } from './world.ts'

const town = useTown({
  routes: `
  - name: nested
    match: POST /nested
    evaluation: { action: pay, resource: { type: Account, id: $body.order.to, properties: { name: $body.order.to } } }
`,
})

const JSON_TYPE = 'Content-Type: application/json'
const FORM_TYPE = 'Content-Type: application/x-www-form-urlencoded'
const pay = (body: string, type = JSON_TYPE, target = '/accounts/7/transfers') =>
  town.ask({ method: 'POST', target, headers: [type], body })

const BODIES = [
  '{"to":"8","To":"secret"}',
  '{"To":"secret","to":"8"}',
  '{"to":"8","TO":"secret","tO":"9"}',
  '{"to":"8","to":"8"}',
  '{"to":"8","\\u0074o":"secret"}',
  '{"to":"8","\\u0054o":"secret"}',
  '{"to":"8","t\\u006F":"secret"}',
  '{"to":"8","x":{"a":1,"A":2}}',
  '{"to":"8","x":[{"a":1,"a":2}]}',
  '{"to":"8","\xc5\xbf":1,"s":2}',
  '{"to":"8","\xe2\x84\xaa":1,"k":2}',
  '{"to":"8","\xc3\x89":1,"\xc3\xa9":2}',
  '{"to":"8"}{"to":"secret"}',
  '{"to":"8","to\\u0000":"secret","to\\u0000":"x"}',
]
for (const body of BODIES) {
  test(`${body} is refused`, async () => {
    assertRefused(await pay(body), 400, 'bad_request')
  })
}

for (const body of [
  'to=8&to=secret',
  'to=8&To=secret',
  'TO=secret&to=8',
  'to=8&%54o=secret',
  'to=8&t%6f=secret',
  'to=8;to=secret&a',
]) {
  test(`the form ${body} is refused`, async () => {
    assertRefused(await pay(body, FORM_TYPE), 400, 'bad_request')
  })
}

for (const body of [
  '{"order":{"to":"8","TO":"secret"}}',
  '{"order":{"to":"8"},"Order":{"to":"secret"}}',
  '{"order":{"to":"8","x":{"y":1,"Y":1}}}',
]) {
  test(`${body} is refused where a part of it is read`, async () => {
    assertRefused(await pay(body, JSON_TYPE, '/nested'), 400, 'bad_request')
  })
}

test('what is not ambiguous is decided on, and forwarded octet by octet', async () => {
  const body = ' {"t\\u006f" : "8",\r\n "toto":"secret"} '
  assert.equal(assertForwarded(await pay(body), '/accounts/7/transfers').body.toString(), body)
  assertRefused(await pay('{"to":"top-\\u0073ecret"}'), 403, 'denied')
  const nested = await pay('{"order":{"to":"8"}}', JSON_TYPE, '/nested')
  assertForwarded(nested, '/nested')
  assert.equal(resourceOf(nested), '8')
})

test('a body that no mapping reads is not looked at', async () => {
  const seen = await town.ask({
    method: 'PUT',
    target: '/files/a',
    headers: [JSON_TYPE],
    body: '{"a":1,"A":2}',
  })
  assert.equal(assertForwarded(seen, '/files/a').body.toString(), '{"a":1,"A":2}')
})
