import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rawRequest } from '../support/raw-http.ts'
import { endOf, openDownload, startStreams, tokenOf } from './streams-world.ts'

const ROUTES = `owner: team
defaults: { upstream: app, engine: main, authenticate: [staff], grant: { ttl: 1h, bindTo: [context.device] } }
routes:
  - name: read
    match: GET /done/{id}
    evaluation: { action: read, resource: { type: Thing, id: $path.id }, context: { device: "$request.headers['x-device']" } }
  - name: events
    match: GET /events/{id}
    evaluation: { action: read, resource: { type: Thing, id: $path.id }, context: { device: "$request.headers['x-device']" } }
    stream: { recheck: 1h }
`

test('a request from another device ends the earlier grants of that subject and resource, and what lives on them', async (t) => {
  const { gateway } = await startStreams(t, { routes: ROUTES })
  const tokens = { alice: await tokenOf('alice'), bob: await tokenOf('bob') }
  const sourceOf = async (
    sub: keyof typeof tokens,
    id: string,
    device: string,
  ): Promise<string | undefined> => {
    const fields = `Host: app\r\nAuthorization: Bearer ${tokens[sub]}\r\nX-Device: ${device}\r\n`
    assert.equal((await rawRequest(gateway.port, `GET /done/${id} HTTP/1.1\r\n${fields}\r\n`)).status, 200)
    return gateway.records().findLast((record) => record.route === 'read')?.source
  }
  assert.equal(await sourceOf('alice', 'one', 'laptop'), 'engine')
  assert.equal(await sourceOf('alice', 'one', 'laptop'), 'grant')
  assert.equal(await sourceOf('alice', 'two', 'laptop'), 'engine')
  assert.equal(await sourceOf('bob', 'one', 'laptop'), 'engine')
  const events = await openDownload(gateway, '/events/one', tokens.alice, { 'x-device': 'laptop' })

  assert.equal(await sourceOf('alice', 'one', 'phone'), 'engine')
  assert.equal(await events.ended, 'complete')
  assert.equal((await endOf(gateway, 'events')).stream.reason, 'revoked')
  assert.equal(await sourceOf('alice', 'one', 'phone'), 'grant')
  assert.equal(await sourceOf('alice', 'one', 'laptop'), 'engine')
  assert.equal(await sourceOf('alice', 'two', 'laptop'), 'grant')
  assert.equal(await sourceOf('bob', 'one', 'laptop'), 'grant')
})
