import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { after, before, describe, test } from 'node:test'
import { type RawBackend, startRawBackend } from '../support/backend.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { jwksOf, makeKey } from '../support/tokens.ts'
import { READ, routeMap, world } from './live-world.ts'

const WELL_KNOWN = '/.well-known/oauth-protected-resource'

let backend: RawBackend
let gateway: TestGateway

before(async () => {
  backend = await startRawBackend()
  const key = await makeKey('k1')
  const issuer = 'https://idp.example.com'
  const resources = [
    `{ resource: "https://api.example.com", authorizationServers: ["${issuer}"], scopes: [read], name: The bank }`,
    `{ resource: "https://api.example.com/things", authorizationServers: ["${issuer}"], dpopRequired: true }`,
  ]
  gateway = await startTestGateway({
    ...world(backend.url, {
      authenticators: `{ staff: { type: jwt, issuer: "${issuer}", audience: bank, jwksFile: jwks.json }, keys: { type: api-key, keysFile: keys.yaml } }`,
      more: `protectedResources: [${resources.join(', ')}]`,
    }),
    'config/routes/app.yaml': `${routeMap(READ, '[staff]')}  - name: other
    match: GET /other
    evaluation: { action: read, resource: { type: Thing, id: one } }
  - name: keyed
    match: GET /things/{id}/keyed
    authenticate: [keys]
    evaluation: { action: read, resource: { type: Thing, id: one } }
`,
    'config/jwks.json': JSON.stringify(jwksOf(key)),
  })
})

after(async () => {
  await gateway?.close()
  await backend?.close()
})

interface Answer {
  readonly status: number
  readonly challenge: string | undefined
  readonly type: string | undefined
  readonly text: string
}

const ask = (path: string, headers: Readonly<Record<string, string>> = {}, method = 'GET'): Promise<Answer> =>
  new Promise((resolve, reject) => {
    const all = { host: 'api.example.com', ...headers }
    const asked = httpRequest({ host: '127.0.0.1', port: gateway.port, path, method, headers: all })
    asked.on('error', reject)
    asked.on('response', async (response) => {
      let text = ''
      for await (const chunk of response) text += chunk
      const { 'www-authenticate': challenge, 'content-type': type } = response.headers
      resolve({ status: response.statusCode ?? 0, challenge, type, text })
    })
    asked.end()
  })

describe('the metadata of a protected resource', () => {
  test('is answered for its host, to everybody, and recorded', async () => {
    const { status, type, text } = await ask(WELL_KNOWN)
    assert.deepEqual([status, type], [200, 'application/json'])
    const { dpop_signing_alg_values_supported: algorithms, ...rest } = JSON.parse(text)
    assert.ok(algorithms.includes('ES256') && !algorithms.includes('HS256'))
    assert.deepEqual(rest, {
      resource: 'https://api.example.com',
      authorization_servers: ['https://idp.example.com'],
      bearer_methods_supported: ['header'],
      scopes_supported: ['read'],
      resource_name: 'The bank',
      dpop_bound_access_tokens_required: false,
    })
    assert.equal(gateway.records().at(-1)?.route, 'protected-resource-metadata')
    assert.equal(
      JSON.parse((await ask(`${WELL_KNOWN}/things`)).text).resource,
      'https://api.example.com/things',
    )
    assert.equal((await ask(WELL_KNOWN, {}, 'HEAD')).text, '')
  })

  test('is nothing of another host, another path or another method', async () => {
    for (const [path, host, method] of [
      [WELL_KNOWN, 'other.example.com', 'GET'],
      [`${WELL_KNOWN}/other`, 'api.example.com', 'GET'],
      [WELL_KNOWN, 'api.example.com', 'POST'],
    ] as const) {
      assert.equal((await ask(path, { host }, method)).status, 404, `${method} ${host}${path}`)
    }
  })

  test('is pointed to by the challenges for tokens, the nearest one', async () => {
    const root = `https://api.example.com${WELL_KNOWN}`
    assert.equal((await ask('/other')).challenge, `Bearer resource_metadata="${root}"`)
    assert.equal((await ask('/things/one')).challenge, `Bearer resource_metadata="${root}/things"`)
    assert.equal(
      (await ask('/things/one', { authorization: 'Bearer x' })).challenge,
      `Bearer error="invalid_token", resource_metadata="${root}/things"`,
    )
    assert.equal((await ask('/other', { host: 'other.example.com' })).challenge, 'Bearer')
    assert.equal((await ask('/things/one/keyed')).challenge, 'ApiKey header="X-Api-Key"')
  })
})
