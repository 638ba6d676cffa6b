import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { describe, type TestContext, test } from 'node:test'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { headerValues } from '../../../src/core/headers.ts'
import { createAuthority } from '../../support/certificates.ts'
import { answerOk, LIMITS, materialOf, startListener, type TestListener } from './support.ts'

const authority = createAuthority()
const stranger = createAuthority('another authority')
const first = authority.issue({ commonName: 'first', names: ['first.test'] })
const bank = authority.issue({ commonName: 'bank', names: ['bank.test', '*.bank.test'] })
const shop = authority.issue({ commonName: 'shop', names: ['shop.test'] })
const renewed = authority.issue({ commonName: 'renewed', names: ['first.test'] })
const alice = authority.issue({ commonName: 'alice' })
const mallory = stranger.issue({ commonName: 'alice' })
const late = authority.issue({ commonName: 'alice', toMs: Date.now() - 1000 })

const FILES = {
  'first.crt': first.cert,
  'first.key': first.key,
  'bank.crt': bank.cert,
  'bank.key': bank.key,
  'shop.crt': shop.cert,
  'shop.key': shop.key,
  'renewed.crt': renewed.cert,
  'renewed.key': renewed.key,
  'ca.crt': authority.cert,
}
const FIRST = { certFile: 'first.crt', keyFile: 'first.key' }
const RENEWED = { certFile: 'renewed.crt', keyFile: 'renewed.key' }
const BANK = { certFile: 'bank.crt', keyFile: 'bank.key' }

type Tls = Parameters<typeof materialOf>[1]

const start = async (
  t: TestContext,
  tls: Tls = FIRST,
  limits: Partial<typeof LIMITS> = {},
): Promise<TestListener> => {
  const listener = await startListener(answerOk, limits, materialOf(FILES, tls))
  t.after(() => listener.listener.close(0))
  return listener
}

interface Seen {
  /** Everything that came back; empty when the connection was not to be had. */
  readonly text: string
  /** Of the certificate that was shown. */
  readonly name: string
  readonly protocol: string | null
  readonly alpn: string | false | null
  readonly reused: boolean
  readonly session: Buffer | null
}

const GET = 'GET / HTTP/1.1\r\nHost: bank.test\r\nConnection: close\r\n\r\n'

/** One request over one connection of TLS. */
const ask = (port: number, options: ConnectionOptions = {}, request = GET): Promise<Seen> =>
  new Promise((resolve) => {
    let text = ''
    let seen: Omit<Seen, 'text' | 'session'> = { name: '', protocol: null, alpn: null, reused: false }
    let session: Buffer | null = null
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, ...options })
    socket.on('secureConnect', () => {
      seen = {
        name: nameOf(socket),
        protocol: socket.getProtocol(),
        alpn: socket.alpnProtocol,
        reused: socket.isSessionReused(),
      }
      socket.write(request)
    })
    socket.on('session', (given) => {
      session = given
    })
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve({ ...seen, text, session }))
  })

const nameOf = (socket: TLSSocket): string => {
  const { raw } = socket.getPeerCertificate()
  return raw === undefined ? '' : new X509Certificate(raw).subject.replace('CN=', '')
}

const isOk = ({ text }: Seen): boolean => /^HTTP\/1\.1 200 [\s\S]*\r\n\r\nok$/.test(text)

describe('the certificate that a caller sees', () => {
  const chosen: Readonly<Record<string, string>> = {
    'first.test': 'first',
    'bank.test': 'bank',
    'BANK.test': 'bank',
    'www.bank.test': 'bank',
    'a.www.bank.test': 'first',
    'shop.test': 'first',
    'shop.example': 'shop',
    'a.shop.example': 'first',
    'nobody.test': 'first',
    test: 'first',
    '': 'first',
  }
  for (const [servername, name] of Object.entries(chosen)) {
    test(`who asks for ${servername || 'no name'} is that of ${name}`, async (t) => {
      const others = [BANK, { certFile: 'shop.crt', keyFile: 'shop.key', hosts: ['Shop.example'] }]
      const { port } = await start(t, { ...FIRST, certificates: others })
      const seen = await ask(port, { servername })
      assert.equal(seen.name, name)
      assert.ok(isOk(seen))
    })
  }

  test('says nothing about the request: Host alone does', async (t) => {
    const { port, exchanges } = await start(t, { ...FIRST, certificates: [BANK] })
    const seen = await ask(port, { servername: 'first.test' })
    assert.ok(isOk(seen))
    assert.deepEqual(
      exchanges.map(({ head }) => [headerValues(head.headers, 'host'), head.tls]),
      [[['bank.test'], true]],
    )
  })
})

describe('the handshake', () => {
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    test(`takes ${version}`, async (t) => {
      const { port } = await start(t)
      const seen = await ask(port, { minVersion: version, maxVersion: version })
      assert.equal(seen.protocol, version)
      assert.ok(isOk(seen))
    })
  }

  const refused: Readonly<Record<string, ConnectionOptions>> = {
    'TLS 1.1': { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL@SECLEVEL=0' },
    'a cipher without forward secrecy': { maxVersion: 'TLSv1.2', ciphers: 'AES128-GCM-SHA256' },
    'a cipher in CBC mode': { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA' },
    'HTTP/2 alone': { ALPNProtocols: ['h2'] },
  }
  for (const [name, options] of Object.entries(refused)) {
    test(`refuses ${name}`, async (t) => {
      const { port, exchanges } = await start(t)
      assert.equal((await ask(port, options)).protocol, null)
      assert.equal(exchanges.length, 0)
    })
  }

  test('chooses HTTP/1.1 where HTTP/2 is offered too', async (t) => {
    const { port } = await start(t)
    const seen = await ask(port, { ALPNProtocols: ['h2', 'http/1.1'] })
    assert.equal(seen.alpn, 'http/1.1')
    assert.ok(isOk(seen))
  })

  test('cannot be made again on the same connection', async (t) => {
    const { port } = await start(t)
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, maxVersion: 'TLSv1.2' })
    socket.on('error', () => undefined)
    await new Promise((resolve) => socket.once('secureConnect', resolve))
    const outcome = await new Promise((resolve) => {
      socket.once('close', () => resolve('closed'))
      socket.renegotiate({}, (error) => resolve(error === null ? 'renegotiated' : 'refused'))
    })
    assert.notEqual(outcome, 'renegotiated')
    socket.destroy()
  })

  test('in clear text is the end of the connection, and no request', async (t) => {
    const { port, exchanges, refused: unread } = await start(t)
    const socket = connectTcp(port, '127.0.0.1')
    let text = ''
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    socket.on('error', () => undefined)
    socket.write(GET)
    await new Promise((resolve) => socket.once('close', resolve))
    assert.doesNotMatch(text, /HTTP/)
    assert.deepEqual([exchanges.length, unread.length], [0, 0])
    assert.ok(isOk(await ask(port)))
  })

  test('that does not end is cut after headersTimeout, whatever was sent of it', async (t) => {
    const { port } = await start(t, FIRST, { headersTimeout: 300 })
    for (const bytes of ['', '\x16\x03\x01\x02\x00\x01\x00']) {
      const socket = connectTcp(port, '127.0.0.1')
      socket.on('error', () => undefined)
      socket.resume()
      if (bytes !== '') socket.write(bytes, 'latin1')
      await new Promise((resolve) => socket.once('close', resolve))
    }
    assert.ok(isOk(await ask(port)))
  })

  test('under way does not keep the listener from closing', async (t) => {
    const { port, listener } = await start(t)
    const socket = connectTcp(port, '127.0.0.1')
    socket.on('error', () => undefined)
    socket.resume()
    await new Promise((resolve) => socket.once('connect', resolve))
    // Whoever comes later is served, so this one has been taken by then.
    assert.ok(isOk(await ask(port)))
    const closed = new Promise((resolve) => socket.once('close', resolve))
    await listener.close(60_000)
    await closed
  })
})

describe('client certificates', () => {
  const shown: Readonly<Record<string, ConnectionOptions>> = {
    none: {},
    'a good one': { cert: alice.cert, key: alice.key },
    'one of another authority': { cert: mallory.cert, key: mallory.key },
    'one that has expired': { cert: late.cert, key: late.key },
  }
  const expected: Readonly<Record<string, readonly string[]>> = {
    none: Object.keys(shown),
    optional: ['none', 'a good one'],
    required: ['a good one'],
  }
  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    for (const [clientCert, takes] of Object.entries(expected)) {
      for (const [name, options] of Object.entries(shown)) {
        const isTaken = takes.includes(name)
        test(`that are ${clientCert}: ${name} is ${isTaken ? 'taken' : 'refused'} over ${version}`, async (t) => {
          // One of the keys of `expected`.
          const tls = { ...FIRST, certificates: [BANK], clientCert: clientCert as 'none' }
          const { port, exchanges } = await start(t, { ...tls, clientCaFile: 'ca.crt' })
          for (const servername of ['first.test', 'bank.test']) {
            const seen = await ask(port, { ...options, servername, minVersion: version, maxVersion: version })
            assert.equal(isOk(seen), isTaken)
          }
          assert.equal(exchanges.length, isTaken ? 2 : 0)
        })
      }
    }
  }

  test('are required where clientCaFile stands alone', async (t) => {
    const { port } = await start(t, { ...FIRST, clientCaFile: 'ca.crt' })
    assert.equal(isOk(await ask(port)), false)
    assert.equal(isOk(await ask(port, { cert: alice.cert, key: alice.key })), true)
  })
})

describe('new certificates', () => {
  const settings = (tls: Tls) => ({
    config: { bind: '127.0.0.1:0' },
    limits: LIMITS,
    tls: materialOf(FILES, tls),
  })

  test('are for new connections, while those that are open go on', async (t) => {
    const { port, listener } = await start(t)
    const open = connect({ host: '127.0.0.1', port, rejectUnauthorized: false })
    let text = ''
    open.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    await new Promise((resolve) => open.once('secureConnect', resolve))
    listener.configure(settings({ ...RENEWED, certificates: [BANK] }))
    assert.equal((await ask(port, { servername: 'first.test' })).name, 'renewed')
    assert.equal((await ask(port, { servername: 'bank.test' })).name, 'bank')
    open.write(GET)
    await new Promise((resolve) => open.once('end', resolve))
    assert.match(text, /^HTTP\/1\.1 200 /)
    listener.configure(settings(FIRST))
    assert.equal((await ask(port, { servername: 'bank.test' })).name, 'first')
  })

  test('end a connection whose caller had shown a certificate, in the middle of a head too', async (t) => {
    const tls: Tls = { ...FIRST, certificates: [BANK], clientCaFile: 'ca.crt', clientCert: 'optional' }
    const { port, listener, exchanges, refused } = await start(t, tls)
    const { cert, key } = alice
    const open = connect({ host: '127.0.0.1', port, rejectUnauthorized: false, cert, key })
    await once(open, 'secureConnect')
    // Its answer shows that the head behind it has come as well, and is over some turns later.
    open.write('GET / HTTP/1.1\r\nHost: bank.test\r\n\r\nGET /half HTTP/1.1\r\n')
    await once(open, 'data')
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve))
    listener.configure(settings({ ...FIRST, certificates: [BANK] }))
    await once(open.resume(), 'end')
    assert.equal(exchanges.length, 1)
    assert.deepEqual(refused, [])
  })

  for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
    const options = { servername: 'bank.test', minVersion: version, maxVersion: version } as const

    test(`let no session of before in past new rules, over ${version}`, async (t) => {
      const { port, listener } = await start(t, { ...FIRST, certificates: [BANK] })
      const { session } = await ask(port, options)
      assert.ok(session !== null)
      // So that it can be told from a session that nobody takes.
      assert.equal((await ask(port, { ...options, session })).reused, true)
      listener.configure(settings({ ...FIRST, certificates: [BANK], clientCaFile: 'ca.crt' }))
      assert.equal(isOk(await ask(port, { ...options, session })), false)
      assert.equal(isOk(await ask(port, { ...options, cert: alice.cert, key: alice.key })), true)
      listener.configure(settings({ ...FIRST, certificates: [BANK] }))
      assert.equal(isOk(await ask(port, options)), true)
    })

    test(`let a session of a caller with a certificate go on until then, over ${version}`, async (t) => {
      const tls: Tls = { ...FIRST, certificates: [BANK], clientCaFile: 'ca.crt', clientCert: 'optional' }
      const { port, listener } = await start(t, tls)
      const certified = { ...options, cert: alice.cert, key: alice.key }
      const { session } = await ask(port, certified)
      assert.ok(session !== null)
      const again = await ask(port, { ...certified, session })
      assert.deepEqual([again.reused, isOk(again)], [true, true])
      listener.configure(settings({ ...tls, certificates: [] }))
      const later = await ask(port, { ...certified, session })
      assert.deepEqual([later.reused, isOk(later)], [false, true])
    })
  }
})
