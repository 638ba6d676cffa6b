import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { describe, test } from 'node:test'
import { peerCertificate } from '../../../src/core/peer-certificate.ts'
import type { CanonicalRequest } from '../../../src/core/request.ts'
import { parseSpiffeId } from '../../../src/gateway/authenticate/spiffe-id.ts'
import { type CertificateSubject, createAuthority, type TestCertificate } from '../../support/certificates.ts'
import { jwksOf, makeKey } from '../../support/tokens.ts'
import {
  BAD,
  CLAIMS,
  identityOf,
  outcomeOf,
  prepare,
  refusalOf,
  requestOf,
  routeOf,
  STAFF,
  stageOf,
  testClock,
} from './harness.ts'

const ID = 'spiffe://corp.example/ns/bank/sa/api'
const authority = createAuthority('corp')
const stranger = createAuthority('corp')
const between = authority.issueAuthority('between')

const SVID: CertificateSubject = { commonName: 'api', uris: [ID], keyUsage: [0], purposes: [1, 2] }

/** The harness's clock stands still at another time than the certificates are made for. */
const now = testClock()
now.advance(Date.now() - now.nowMs())

const showing = (
  certificate: TestCertificate,
  chain: readonly TestCertificate[] = [],
  ...headers: readonly string[]
): CanonicalRequest => ({
  ...requestOf(...headers),
  peerCertificate: peerCertificate(
    new X509Certificate(certificate.cert),
    'listener',
    chain.map(({ cert }) => new X509Certificate(cert)),
  ),
})

const stageWith = (config: object, files = {}) =>
  stageOf({ services: { type: 'mtls', ...config } }, { files, clock: now })

const present = async (config: object, request: CanonicalRequest, files = {}): Promise<string> =>
  outcomeOf(await stageWith(config, files).authenticate(request, routeOf('services')))

const SPIFFE = { spiffe: { trustDomain: 'corp.example' } }

describe('an X.509-SVID', () => {
  test('is a workload by its SPIFFE ID, without any mapping', async () => {
    for (const config of [SPIFFE, {}]) {
      assert.equal(await present(config, showing(authority.issue(SVID))), `Workload ${ID}`)
    }
    const plain = { ...SVID, purposes: [] }
    assert.equal(await present(SPIFFE, showing(authority.issue(plain))), `Workload ${ID}`)
  })

  const bad: Readonly<Record<string, Partial<CertificateSubject>>> = {
    'without a URI': { uris: [] },
    'with two URIs': { uris: [ID, 'spiffe://corp.example/other'] },
    'with a URI that is no SPIFFE ID': { uris: ['https://corp.example/api'] },
    'with the ID of a whole trust domain': { uris: ['spiffe://corp.example'] },
    'of another trust domain': { uris: ['spiffe://corp.example.org/api'] },
    'with an encoded path': { uris: ['spiffe://corp.example/a%2fb'] },
    'with a dot segment': { uris: ['spiffe://corp.example/a/../b'] },
    'with an empty segment': { uris: ['spiffe://corp.example//b'] },
    'with a slash at the end': { uris: ['spiffe://corp.example/b/'] },
    'with a port': { uris: ['spiffe://corp.example:80/b'] },
    'with a user': { uris: ['spiffe://me@corp.example/b'] },
    'with a query': { uris: ['spiffe://corp.example/b?c'] },
    'with a trust domain in upper case': { uris: ['spiffe://Corp.example/b'] },
    'of an authority': { isAuthority: true },
    'without a key usage': { keyUsage: [] },
    'whose key may issue others': { keyUsage: [0, 5] },
    'whose key may sign lists of revoked ones': { keyUsage: [0, 6] },
    'for servers only': { purposes: [1] },
    'for clients only': { purposes: [2] },
  }
  for (const [what, changes] of Object.entries(bad)) {
    test(`${what}: refused`, async () => {
      assert.equal(
        await present(SPIFFE, showing(authority.issue({ ...SVID, ...changes }))),
        'unauthenticated',
      )
    })
  }

  test('that is no good gives no subject without a trust domain either', async () => {
    const twice = authority.issue({ ...SVID, uris: [ID, 'spiffe://corp.example/other'] })
    assert.equal(await present({}, showing(twice)), 'denied')
  })

  test('ends with its time, also while it is known', async () => {
    const clock = testClock()
    clock.advance(Date.now() - clock.nowMs())
    const stage = stageOf({ services: { type: 'mtls' } }, { clock })
    const request = showing(authority.issue({ ...SVID, toMs: clock.nowMs() + 60_000 }))
    assert.equal(outcomeOf(await stage.authenticate(request, routeOf('services'))), `Workload ${ID}`)
    clock.advance(60_000)
    assert.equal(outcomeOf(await stage.authenticate(request, routeOf('services'))), 'unauthenticated')
  })

  test('selects among the authenticators of several trust domains', async () => {
    const stage = stageOf(
      {
        ours: { type: 'mtls', ...SPIFFE },
        theirs: { type: 'mtls', spiffe: { trustDomain: 'other' }, prefix: 'x|' },
      },
      { clock: now },
    )
    const theirs = showing(authority.issue({ ...SVID, uris: ['spiffe://other/b'] }))
    assert.equal(
      outcomeOf(await stage.authenticate(theirs, routeOf('ours', 'theirs'))),
      'Workload x|spiffe://other/b',
    )
    assert.equal(outcomeOf(await stage.authenticate(theirs, routeOf('ours'))), 'unauthenticated')
  })
})

describe('the trust bundle', () => {
  const bundle = (...authorities: readonly TestCertificate[]): string =>
    authorities.map(({ cert }) => cert).join('')
  const spiffeBundle = (use: string): object => ({
    keys: [{ use, kty: 'EC', x5c: [new X509Certificate(authority.cert).raw.toString('base64')] }],
  })
  const against = (files: object, request: CanonicalRequest): Promise<string> =>
    present({ ...SPIFFE, bundle: 'bundle' }, request, { bundle: files })

  test('takes what it has issued, at once or by what came along', async () => {
    const leaf = authority.issue(SVID)
    assert.equal(await against(bundle(stranger, authority) as never, showing(leaf)), `Workload ${ID}`)
    assert.equal(await against(spiffeBundle('x509-svid'), showing(leaf)), `Workload ${ID}`)
    const lower = between.issue(SVID)
    assert.equal(await against(bundle(authority) as never, showing(lower, [between])), `Workload ${ID}`)
    assert.equal(await against(bundle(authority) as never, showing(lower)), 'unauthenticated')
  })

  test('refuses what a namesake has issued, and what a mere leaf has', async () => {
    assert.equal(await against(bundle(authority) as never, showing(stranger.issue(SVID))), 'unauthenticated')
    const leaf = authority.issue(SVID)
    assert.equal(
      await against(bundle(authority) as never, showing(leaf.issue(SVID), [leaf])),
      'unauthenticated',
    )
  })

  test('is told at load when it holds nothing of use', () => {
    for (const content of ['', 'junk', '{"keys":[]}', '{', spiffeBundle('jwt-svid')]) {
      const { problems } = prepare(
        'services',
        { type: 'mtls', bundle: 'bundle' },
        { files: { bundle: content } },
      )
      assert.deepEqual(
        problems.map(({ path }) => path),
        [['bundle']],
      )
    }
  })
})

describe('any other certificate', () => {
  test('is mapped by its names', async () => {
    const certificate = authority.issue({ commonName: 'alice', names: ['a.example', '10.0.0.1'] })
    const subject = {
      type: 'User',
      id: '$claims.serialNumber',
      properties: { san: '$claims.san', name: '$claims.subject' },
    }
    const identity = identityOf(
      await stageWith({ subject }).authenticate(showing(certificate), routeOf('services')),
    )
    assert.deepEqual(identity.subject.properties, {
      san: { uri: [], dns: ['a.example'], email: [], ip: ['10.0.0.1'] },
      name: { CN: 'alice' },
    })
    const { x509, thumbprint } = showing(certificate).peerCertificate ?? assert.fail()
    assert.equal(identity.credential.id, thumbprint)
    assert.equal(identity.credential.issuer, 'CN=corp')
    assert.equal(identity.credential.expiresAt, Date.parse(x509.validTo) / 1000)
  })

  test('that is for servers only, or out of its time, is refused', async () => {
    const subject = { type: 'User', id: '$claims.serialNumber' }
    const server = authority.issue({ commonName: 'a', purposes: [1] })
    assert.equal(await present({ subject }, showing(server)), 'unauthenticated')
    const late = authority.issue({ commonName: 'a', toMs: Date.now() - 1000 })
    assert.equal(await present({ subject }, showing(late)), 'unauthenticated')
  })

  test('is asked for where none was shown', async () => {
    const refusal = refusalOf(await stageWith({}).authenticate(requestOf(), routeOf('services')))
    assert.equal(refusal.refusal, 'unauthenticated')
  })

  test('does not open a WebSocket for a page of another origin', async () => {
    const leaf = authority.issue(SVID)
    const upgrade = ['Upgrade', 'websocket', 'Connection', 'Upgrade']
    assert.equal(await present(SPIFFE, showing(leaf, [], ...upgrade)), `Workload ${ID}`)
    const own = showing(leaf, [], ...upgrade, 'Origin', 'http://example.com')
    assert.equal(await present(SPIFFE, own), `Workload ${ID}`)
    const other = showing(leaf, [], ...upgrade, 'Origin', 'http://evil.example')
    assert.equal(await present(SPIFFE, other), 'denied')
  })
})

describe('a token that is bound to a certificate', () => {
  test('is taken with that certificate, and refused without it or with another', async () => {
    const key = await makeKey('k1')
    const leaf = authority.issue({ commonName: 'client' })
    const { thumbprint } = showing(leaf).peerCertificate ?? assert.fail()
    const iat = Math.floor(now.nowMs() / 1000)
    const times = { iat, nbf: iat, exp: iat + 600 }
    const token = await key.sign({ ...CLAIMS, ...times, cnf: { 'x5t#S256': thumbprint } })
    const stage = stageOf({ staff: STAFF }, { files: { 'jwks.json': jwksOf(key) }, clock: now })
    const bearer = ['Authorization', `Bearer ${token}`]
    const outcomes = []
    for (const request of [
      showing(leaf, [], ...bearer),
      requestOf(...bearer),
      showing(authority.issue({ commonName: 'client' }), [], ...bearer),
      showing(leaf, [], ...bearer),
    ]) {
      outcomes.push(outcomeOf(await stage.authenticate(request, routeOf('staff'))))
    }
    assert.deepEqual(outcomes, ['User alice', BAD, BAD, 'User alice'])
  })
})

describe('SPIFFE IDs', () => {
  test('are taken as the standard writes them, and in no other way', () => {
    assert.deepEqual(parseSpiffeId('spiffe://a-b_c.d/e.f/G_h-1'), {
      trustDomain: 'a-b_c.d',
      path: '/e.f/G_h-1',
    })
    for (const bad of [
      '',
      'spiffe://',
      'spiffe:///a',
      'SPIFFE://a/b',
      'spiffe://a/b#c',
      'spiffe://a/é',
      `spiffe://a/${'b'.repeat(2048)}`,
    ]) {
      assert.equal(parseSpiffeId(bad), null, bad)
    }
  })
})
