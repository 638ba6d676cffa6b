import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { newVisitor, type OidcWorld, startOidcWorld } from '../../gateway/authenticate/oidc/world.ts'
import { ask, portOf, questionOf } from './asking.ts'

const LISTENERS = ', { bind: 127.0.0.1:0, speaks: forward-auth, trustedProxies: [{ cidrs: [127.0.0.1/32] }] }'

describe('people in browsers, where another proxy asks', () => {
  let world: OidcWorld

  before(async () => {
    world = await startOidcWorld({ listeners: LISTENERS })
  })
  after(() => world.close())

  const asked = (headers: readonly string[]) => {
    const question = { proto: 'http', uri: '/accounts/1?a=b', for: '127.0.0.1', headers }
    return ask(world.gateway, portOf(world.gateway, 1), questionOf(question, new URL(world.url).host))
  }

  test('are sent to the sign-in by 401 with a Location, which the proxy can follow', async () => {
    const { status, response } = await asked(['Accept: text/html', 'Sec-Fetch-Mode: navigate'])
    assert.equal(status, 401)
    const [location = ''] = response.header('location')
    assert.match(location, /^\/\.sallyport\//)
    const program = await asked(['Accept: application/json'])
    assert.deepEqual([program.status, program.response.header('location')], [401, []])
  })

  test('are known by the session that they have signed in to at a listener that speaks proxy', async () => {
    const visitor = newVisitor()
    await world.signIn(visitor, 'alice')
    const cookies = [...visitor.cookies(world.url)].map(([name, value]) => `${name}=${value}`).join('; ')
    const { response } = await asked([`Cookie: ${cookies}`])
    assert.deepEqual([response.status, response.header('x-remote-user')], [200, ['alice']])
  })
})
