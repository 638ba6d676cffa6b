import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type RawBackend, startRawBackend } from '../support/backend.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { rawRequest, rawUntilClosed } from '../support/raw-http.ts'
import { buildCity, HOST, tokenOf } from './city.ts'

// What whatever-reaches-the-application.test.ts came upon, in its smallest form.

let backend: RawBackend
let gateway: TestGateway
let signed = ''

before(async () => {
  backend = await startRawBackend()
  const city = await buildCity({ upstream: backend.url })
  signed = `Host: ${HOST}\r\nAuthorization: Bearer ${tokenOf(city, 'alice')}\r\n`
  gateway = await startTestGateway(city.world, { env: city.env })
})

after(async () => {
  await gateway.close()
  await backend.close()
})

const END = '@@ no request @@\r\n\r\n'

/** Statuses of the answers on one connection, and how often the application was asked meanwhile. */
const statusesOf = async (bytes: string): Promise<{ statuses: readonly number[]; asked: number }> => {
  const before = backend.requests.length
  const { responses } = await rawUntilClosed(gateway.port, bytes)
  const statuses = responses.map(({ status }) => status).filter((status) => status !== 100)
  return { statuses, asked: backend.requests.length - before }
}

for (const alias of ['X_Tenant', 'X.Tenant', 'x-tenant_']) {
  const isAlias = alias !== 'x-tenant_'
  test(`${alias} ${isAlias ? 'is refused beside' : 'is another header than'} X-Tenant, which a mapping reads`, async () => {
    const bytes = `GET /tenant HTTP/1.1\r\n${signed}X-Tenant: mine\r\n${alias}: other\r\n\r\n`
    assert.equal((await rawRequest(gateway.port, bytes)).status, isAlias ? 400 : 200)
  })
}

const PUT = `PUT /files/a HTTP/1.1\r\n`

const PIPELINES: Readonly<
  Record<string, { readonly bytes: () => string; readonly statuses: readonly number[] }>
> = {
  'that expects a 100 Continue for no body': {
    bytes: () => `GET /health HTTP/1.1\r\n${signed}Expect: 100-continue\r\n\r\n${PUT}${signed}\r\n${END}`,
    statuses: [200, 200, 400],
  },
  'that expects a 100 Continue for a body that has come along': {
    bytes: () =>
      `POST /nowhere HTTP/1.1\r\n${signed}Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi${PUT}${signed}\r\n${END}`,
    statuses: [404, 200, 400],
  },
  'that names an upgrade and does not ask for it': {
    bytes: () => `GET /health HTTP/1.1\r\n${signed}Upgrade: websocket\r\n\r\n${PUT}${signed}\r\n${END}`,
    statuses: [200, 200, 400],
  },
  'behind which comes one that is refused for good, and then a CONNECT': {
    bytes: () =>
      `${PUT}${signed}\r\nGET /health HTTP/1.1\r\n${signed}${signed}\r\nCONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n`,
    statuses: [200, 400],
  },
}

for (const [name, { bytes, statuses }] of Object.entries(PIPELINES)) {
  test(`every request that was carried out is answered after one ${name}`, async () => {
    const result = await statusesOf(bytes())
    assert.deepEqual(result.statuses, statuses)
    assert.equal(result.asked, statuses.filter((status) => status === 200).length)
  })
}
