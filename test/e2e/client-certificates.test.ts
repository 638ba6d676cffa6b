import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { Agent, request as httpsRequest } from 'node:https'
import { after, before, describe, test } from 'node:test'
import { type RawBackend, startRawBackend } from '../support/backend.ts'
import { createAuthority, type TestCertificate } from '../support/certificates.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { edited, READ, replace, routeMap, world } from './live-world.ts'

const ID = 'spiffe://corp.example/api'
const authority = createAuthority('corp')
const other = createAuthority('other')
const SVID = { commonName: 'api', uris: [ID], keyUsage: [0], purposes: [1, 2] }
const gatewayCertificate = authority.issue({ commonName: 'gateway', names: ['127.0.0.1'] })
const api = authority.issue(SVID)
const stranger = other.issue(SVID)

let backend: RawBackend
let gateway: TestGateway
let behind: TestGateway

const POLICY = `permit (principal == Workload::"${ID}", action == Action::"read", resource == Thing::"one");`

const worldOf = (listeners: string) => ({
  ...world(backend.url, {
    listeners,
    authenticators: '{ services: { type: mtls, spiffe: { trustDomain: corp.example } } }',
  }),
  'config/routes/app.yaml': routeMap(READ, '[services]'),
  'policies/main.cedar': POLICY,
  'config/gw.crt': gatewayCertificate.cert,
  'config/gw.key': gatewayCertificate.key,
  'config/clients.pem': authority.cert,
})

before(async () => {
  backend = await startRawBackend()
  const tls = '{ certFile: gw.crt, keyFile: gw.key, clientCaFile: clients.pem, clientCert: optional }'
  gateway = await startTestGateway(worldOf(`[{ bind: "127.0.0.1:0", tls: ${tls} }]`))
  const proxies =
    '[{ cidrs: [127.0.0.1], headers: [x-forwarded-client-cert, client-cert, client-cert-chain] }]'
  behind = await startTestGateway(worldOf(`[{ bind: "127.0.0.1:0", trustedProxies: ${proxies} }]`))
})

after(async () => {
  await Promise.all([gateway?.close(), behind?.close()])
  await backend?.close()
})

type Headers = Readonly<Record<string, string>>

const ask = (agent: Agent | null, { port }: TestGateway, headers: Headers = {}): Promise<number | string> =>
  new Promise((resolve) => {
    const options = { host: '127.0.0.1', port, path: '/things/one', headers }
    const request =
      agent === null ? httpRequest(options) : httpsRequest({ ...options, agent, ca: authority.cert })
    request.on('response', (response) => {
      response.resume()
      response.on('end', () => resolve(response.statusCode ?? 0))
    })
    request.on('error', (error) => resolve(Reflect.get(error, 'code') ?? error.message))
    request.end()
  })

const agentOf = (certificate: TestCertificate | null, keepAlive = false): Agent =>
  new Agent({
    keepAlive,
    maxSockets: 1,
    ...(certificate === null ? {} : { cert: certificate.cert, key: certificate.key }),
  })

describe('a certificate that is shown to the listener', () => {
  test('says who the caller is, also when a session is resumed and on a connection that is kept', async () => {
    const agent = agentOf(api, true)
    assert.deepEqual([await ask(agent, gateway), await ask(agent, gateway)], [200, 200])
    agent.destroy()
    const again = agentOf(api)
    assert.deepEqual([await ask(again, gateway), await ask(again, gateway)], [200, 200])
    const record = gateway.records().at(-1)
    assert.deepEqual(record?.subject, { type: 'Workload', id: ID })
    assert.equal(record?.source, 'grant')
  })

  test('is asked for where none was shown, whatever a header says', async () => {
    assert.equal(await ask(agentOf(null), gateway), 401)
    const forwarded = { 'Client-Cert': `:${new X509Certificate(api.cert).raw.toString('base64')}:` }
    assert.equal(await ask(agentOf(null), gateway, forwarded), 401)
    assert.equal(
      await ask(agentOf(null), gateway, {
        'X-Forwarded-Client-Cert': `Cert="${encodeURIComponent(api.cert)}"`,
      }),
      401,
    )
  })

  test('that others have issued is no connection', async () => {
    assert.equal(typeof (await ask(agentOf(stranger), gateway)), 'string')
  })

  test('is no longer good, on open connections neither, when those who issued it are no longer', async () => {
    const agent = agentOf(api, true)
    assert.equal(await ask(agent, gateway), 200)
    await edited(gateway, () => replace(gateway, 'config/clients.pem', other.cert))
    assert.equal(typeof (await ask(agent, gateway)), 'string')
    agent.destroy()
    assert.equal(await ask(agentOf(stranger), gateway), 200)
  })
})

describe('a certificate that a trusted proxy was shown', () => {
  const base64 = (certificate: TestCertificate): string =>
    `:${new X509Certificate(certificate.cert).raw.toString('base64')}:`
  const xfcc = (certificate: TestCertificate): string =>
    `By=spiffe://corp.example/proxy;Hash=abc;Cert="${encodeURIComponent(certificate.cert)}";Subject="CN=a,O=b";URI=${ID}`

  const good: Readonly<Record<string, Headers>> = {
    'Client-Cert': { 'Client-Cert': base64(api) },
    'Client-Cert with a chain': { 'Client-Cert': base64(api), 'Client-Cert-Chain': base64(authority) },
    'X-Forwarded-Client-Cert': { 'X-Forwarded-Client-Cert': xfcc(api) },
    'both, of one certificate': { 'Client-Cert': base64(api), 'X-Forwarded-Client-Cert': xfcc(api) },
  }
  for (const [what, headers] of Object.entries(good)) {
    test(`is taken from ${what}, which the application does not see`, async () => {
      const seen = backend.requests.length
      assert.equal(await ask(null, behind, headers), 200)
      const names = backend.requests[seen]?.headerLines.map((line) => line.split(':')[0]?.toLowerCase())
      assert.equal(
        names?.some((name) => name?.includes('client-cert')),
        false,
      )
    })
  }

  const bad: Readonly<Record<string, readonly [Headers, number]>> = {
    'no header': [{}, 401],
    'a chain alone': [{ 'Client-Cert-Chain': base64(api) }, 401],
    'a certificate that is none': [{ 'Client-Cert': ':AAAA:' }, 400],
    'a certificate without colons': [{ 'Client-Cert': base64(api).slice(1) }, 400],
    'only its names': [{ 'X-Forwarded-Client-Cert': `Hash=abc;URI=${ID}` }, 400],
    'two elements': [{ 'X-Forwarded-Client-Cert': `${xfcc(api)},${xfcc(api)}` }, 400],
    'two certificates in one element': [
      { 'X-Forwarded-Client-Cert': `${xfcc(api)};Cert="${encodeURIComponent(stranger.cert)}"` },
      400,
    ],
    'headers that disagree': [{ 'Client-Cert': base64(stranger), 'X-Forwarded-Client-Cert': xfcc(api) }, 400],
    'an alias of the header': [{ 'Client-Cert': base64(api), Client_Cert: base64(stranger) }, 400],
  }
  for (const [what, [headers, status]] of Object.entries(bad)) {
    test(`is refused with ${what}`, async () => assert.equal(await ask(null, behind, headers), status))
  }
})
