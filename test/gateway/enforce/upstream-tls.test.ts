import assert from 'node:assert/strict'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { after, describe, it } from 'node:test'
import { createServer, type TlsOptions } from 'node:tls'
import type { UpstreamTls } from '../../../src/gateway/enforce/upstream-tls.ts'
import { OK } from '../../support/backend.ts'
import { createAuthority } from '../../support/certificates.ts'
import { frame, handshake, SWITCH } from '../../support/websocket.ts'
import { connectRaw, type GatewayOptions, startGateway } from './harness.ts'

const authority = createAuthority()
const stranger = createAuthority()
const ca = Buffer.from(authority.cert)
const good = authority.issue({ commonName: 'application', names: ['127.0.0.1', 'app.internal'] })

const closers: (() => Promise<unknown>)[] = []
after(async () => {
  for (const close of closers) await close()
})

interface Application {
  readonly url: string
  /** What came in clear, and what came encrypted. */
  readonly raw: () => string
  readonly text: () => string
  readonly serverNames: readonly (string | false | null)[]
  readonly connections: () => number
}

/** Answers a handshake by a switch and an echo, everything else by `ok`. */
const startApplication = async (options: TlsOptions | null): Promise<Application> => {
  let raw = ''
  let text = ''
  let connections = 0
  const serverNames: (string | false | null)[] = []
  const serve = (socket: Socket): void => {
    let switched = false
    socket.on('error', () => undefined)
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1')
      if (switched) socket.write(chunk)
      else if (/^upgrade:/im.test(chunk.toString('latin1'))) {
        switched = true
        socket.write(SWITCH)
      } else socket.write(OK)
    })
  }
  const server =
    options === null
      ? createTcpServer()
      : createServer(options, (socket) => {
          serverNames.push(socket.servername)
          serve(socket)
        })
  server.on('tlsClientError', () => undefined)
  server.on('connection', (socket: Socket) => {
    connections += 1
    socket.on('error', () => undefined)
    if (options === null) {
      socket.on('data', (chunk) => {
        raw += chunk.toString('latin1')
      })
      serve(socket)
    }
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  closers.push(() => new Promise((resolve) => server.close(resolve)))
  // An address object is certain here: the server listens on TCP.
  const { port } = server.address() as AddressInfo
  return {
    url: `https://127.0.0.1:${port}`,
    raw: () => raw,
    text: () => text,
    serverNames,
    connections: () => connections,
  }
}

const start = async (url: string, upstreamTls: UpstreamTls, options: GatewayOptions = {}) => {
  const gateway = await startGateway(url, { upstreamTls, ...options })
  closers.unshift(gateway.close)
  return gateway
}

const GET = 'GET /a HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n'

describe('an application behind TLS', () => {
  const accepted: Readonly<Record<string, UpstreamTls>> = {
    'the address of the URL': { ca, serverName: null },
    'serverName, where that is set': { ca, serverName: 'app.internal' },
  }
  for (const [name, tls] of Object.entries(accepted)) {
    it(`is known by ${name}, whatever Host a caller sends`, async () => {
      const application = await startApplication({ cert: good.cert, key: good.key })
      const gateway = await start(application.url, tls)
      const client = connectRaw(gateway.port)
      client.write(GET)
      assert.match((await client.ended).text, /^HTTP\/1\.1 200 /)
      assert.deepEqual(application.serverNames, [tls.serverName ?? false])
      assert.match(application.text(), /^GET \/a HTTP\/1\.1\r\n/)
    })

    it(`has its WebSockets over TLS too, and is known by ${name}`, async () => {
      const application = await startApplication({ cert: good.cert, key: good.key })
      const gateway = await start(application.url, tls)
      const client = connectRaw(gateway.port)
      client.write(handshake('/a//b?c', '', 'evil.example'))
      await client.until('\r\n\r\n')
      client.write(frame(1, 'hello'))
      assert.match(await client.until('hello'), /^HTTP\/1\.1 101 /)
      assert.match(application.text(), /^GET \/a\/\/b\?c HTTP\/1\.1\r\n/)
      assert.deepEqual(application.serverNames, [tls.serverName ?? false])
      client.socket.destroy()
      await client.ended
    })
  }

  const issue = (from: typeof authority, more: object): TlsOptions => {
    const { cert, key } = from.issue({ commonName: 'application', names: ['127.0.0.1'], ...more })
    return { cert, key }
  }
  const self = createAuthority()
  const strange: Readonly<Record<string, readonly [TlsOptions | null, UpstreamTls]>> = {
    'was certified by somebody else': [issue(stranger, {}), { ca, serverName: null }],
    'was certified by nobody whom Node knows': [issue(authority, {}), { ca: null, serverName: null }],
    'certified itself': [
      { cert: self.cert, key: self.key },
      { ca, serverName: null },
    ],
    'has a certificate of another name': [
      issue(authority, { names: ['other.internal'] }),
      { ca, serverName: null },
    ],
    'has a certificate of another name over TLS 1.2': [
      { ...issue(authority, { names: ['other.internal'] }), maxVersion: 'TLSv1.2' },
      { ca, serverName: null },
    ],
    'has not the name that it should': [issue(authority, {}), { ca, serverName: 'app.internal' }],
    'has a certificate that has expired': [
      issue(authority, { toMs: Date.now() - 1000 }),
      { ca, serverName: null },
    ],
    'speaks no TLS': [null, { ca, serverName: null }],
    'speaks TLS 1.1 alone': [
      {
        ...issue(authority, {}),
        minVersion: 'TLSv1',
        maxVersion: 'TLSv1.1',
        ciphers: 'ALL@SECLEVEL=0',
      },
      { ca, serverName: null },
    ],
  }
  for (const [name, [options, tls]] of Object.entries(strange)) {
    it(`that ${name} gets no request and no handshake, however often it is tried`, async () => {
      const application = await startApplication(options)
      const breaker = { failures: 1000, trialEvery: 1000 }
      const gateway = await start(application.url, tls, { upstream: { breaker } })
      for (const request of [GET, GET, handshake('/ws'), handshake('/ws')]) {
        const client = connectRaw(gateway.port)
        client.write(request)
        assert.match((await client.ended).text, /^HTTP\/1\.1 502 /)
      }
      assert.deepEqual(gateway.outcomes, Array(4).fill('upstream_unavailable'))
      assert.equal(application.text(), options === null ? application.raw() : '')
      assert.doesNotMatch(application.raw(), /HTTP/)
      assert.ok(application.connections() >= 4)
    })
  }
})
