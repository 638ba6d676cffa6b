import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { describe, test } from 'node:test'
import type { Problem } from '../../../src/core/problem.ts'
import { prepareTls } from '../../../src/gateway/accept/prepare-tls.ts'
import type { TlsMaterial } from '../../../src/gateway/accept/tls.ts'
import { createAuthority } from '../../support/certificates.ts'
import { fixedClock, materialOf } from './support.ts'

const NOW_MS = Date.now()
const authority = createAuthority()
const bank = authority.issue({ commonName: 'bank', names: ['bank.test', '*.bank.test'] })
const shop = authority.issue({ commonName: 'shop', names: ['shop.test'] })
const nameless = authority.issue({ commonName: 'nameless' })
const over = authority.issue({ commonName: 'over', names: ['over.test'], toMs: NOW_MS - 60_000 })
const early = authority.issue({ commonName: 'early', names: ['early.test'], fromMs: NOW_MS + 60_000 })
const locked = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' },
}).privateKey

const FILES: Readonly<Record<string, string>> = {
  'bank.crt': bank.cert,
  'bank.key': bank.key,
  'chain.crt': `${bank.cert}${authority.cert}`,
  'shop.crt': shop.cert,
  'shop.key': shop.key,
  'nameless.crt': nameless.cert,
  'nameless.key': nameless.key,
  'over.crt': over.cert,
  'over.key': over.key,
  'early.crt': early.cert,
  'early.key': early.key,
  'locked.key': locked,
  'ca.crt': authority.cert,
  'broken.crt': bank.cert.replace(/\n[A-Za-z0-9+/]{8}/, '\nAAAAAAAA'),
  'half.crt': `${bank.cert}${bank.cert.replace(/\n[A-Za-z0-9+/]{8}/, '\nAAAAAAAA')}`,
  'text.pem': 'hello',
  'empty.pem': '',
}

type Tls = Parameters<typeof materialOf>[1]

const prepare = (
  config: Tls,
): { readonly problems: readonly Problem[]; readonly material: TlsMaterial | null } => {
  const problems: Problem[] = []
  const material = prepareTls({ certificates: [], ...config }, ['tls'], {
    clock: { ...fixedClock, nowMs: () => NOW_MS },
    readFile: (path, at) => {
      const content = FILES[path]
      if (content === undefined) problems.push({ path: at, message: 'no such file' })
      return content === undefined ? null : Buffer.from(content)
    },
    report: (problem) => problems.push(problem),
  })
  return { problems, material }
}

const BANK = { certFile: 'bank.crt', keyFile: 'bank.key' }
const SHOP = { certFile: 'shop.crt', keyFile: 'shop.key' }

describe('a mistake in the certificates of a listener is told at the field that names the file', () => {
  const mistakes: Readonly<Record<string, readonly [Tls, string, RegExp]>> = {
    'a certificate that is not there': [{ ...BANK, certFile: 'no.crt' }, 'tls.certFile', /no such file/],
    'a key that is not there': [{ ...BANK, keyFile: 'no.key' }, 'tls.keyFile', /no such file/],
    'a certificate that is none': [{ ...BANK, certFile: 'text.pem' }, 'tls.certFile', /a certificate as PEM/],
    'an empty file': [{ ...BANK, certFile: 'empty.pem' }, 'tls.certFile', /a certificate as PEM/],
    'a broken certificate': [{ ...BANK, certFile: 'broken.crt' }, 'tls.certFile', /a certificate as PEM/],
    'a broken intermediate': [{ ...BANK, certFile: 'half.crt' }, 'tls.certFile', /a certificate as PEM/],
    'a key that is none': [{ ...BANK, keyFile: 'text.pem' }, 'tls.keyFile', /a private key as PEM/],
    'a certificate in place of the key': [
      { ...BANK, keyFile: 'bank.crt' },
      'tls.keyFile',
      /a private key as PEM/,
    ],
    'a key with a passphrase': [{ ...BANK, keyFile: 'locked.key' }, 'tls.keyFile', /without a passphrase/],
    'the key of another': [{ ...BANK, keyFile: 'shop.key' }, 'tls.keyFile', /not that of the certificate/],
    'the key of another, further down': [
      { ...BANK, certificates: [SHOP, { ...SHOP, keyFile: 'bank.key' }] },
      'tls.certificates.1.keyFile',
      /not that of the certificate/,
    ],
    'a certificate without a name': [
      { ...BANK, certificates: [{ certFile: 'nameless.crt', keyFile: 'nameless.key' }] },
      'tls.certificates.0.certFile',
      /no DNS name, expected hosts/,
    ],
    'two certificates of one name': [
      { ...BANK, certificates: [SHOP, { ...BANK, hosts: ['SHOP.test'] }] },
      'tls.certificates.1',
      /second certificate for shop\.test/,
    ],
    'issuers that are none': [
      { ...BANK, clientCaFile: 'text.pem' },
      'tls.clientCaFile',
      /certificates as PEM/,
    ],
    'client certificates that nobody issued': [
      { ...BANK, clientCert: 'required' },
      'tls.clientCert',
      /found required, expected clientCaFile/,
    ],
  }
  for (const [name, [config, place, message]] of Object.entries(mistakes)) {
    test(name, () => {
      const { problems, material } = prepare(config)
      assert.equal(problems.length, 1)
      assert.equal(problems[0]?.path.join('.'), place)
      assert.match(problems[0]?.message ?? '', message)
      assert.notEqual(problems[0]?.severity, 'warning')
      if (name !== 'two certificates of one name' && name !== 'a certificate without a name')
        assert.equal(material, null)
      for (const content of Object.values(FILES))
        if (content.length > 100) assert.ok(!problems[0]?.message.includes(content.slice(30, 60)))
    })
  }

  const warnings: Readonly<Record<string, readonly [Tls, RegExp]>> = {
    'one that has expired': [{ certFile: 'over.crt', keyFile: 'over.key' }, /has expired/],
    'one that is not valid yet': [{ certFile: 'early.crt', keyFile: 'early.key' }, /not valid yet/],
  }
  for (const [name, [config, message]] of Object.entries(warnings)) {
    test(`${name} is a warning, since it may be all that there is`, () => {
      const { problems, material } = prepare(config)
      assert.deepEqual(
        problems.map(({ severity, path }) => [severity, path.join('.')]),
        [['warning', 'tls.certFile']],
      )
      assert.match(problems[0]?.message ?? '', message)
      assert.ok(material !== null)
    })
  }
})

describe('certificates that are good', () => {
  test('have the names that they hold, or those that are said', () => {
    const { material } = prepare({
      ...BANK,
      certFile: 'chain.crt',
      certificates: [{ ...SHOP, hosts: ['Other.test'] }],
    })
    assert.deepEqual(material?.fallback.hosts, ['bank.test', '*.bank.test'])
    assert.deepEqual(
      material?.others.map(({ hosts }) => hosts),
      [['other.test']],
    )
  })

  test('are told from others by what is in the files', () => {
    const of = (config: Tls, changes: Readonly<Record<string, string>> = {}): string =>
      materialOf({ ...FILES, ...changes }, config).fingerprint
    const same = of(BANK)
    assert.equal(of(BANK), same)
    assert.equal(of({ certFile: 'copy.crt', keyFile: 'bank.key' }, { 'copy.crt': bank.cert }), same)
    const others = [
      of(SHOP),
      of({ ...BANK, certFile: 'chain.crt' }),
      of({ ...BANK, certificates: [SHOP] }),
      of({ ...BANK, clientCaFile: 'ca.crt' }),
      of({ ...BANK, clientCaFile: 'ca.crt', clientCert: 'optional' }),
    ]
    assert.equal(new Set([same, ...others]).size, 6)
    assert.ok(others.every((text) => !text.includes('PRIVATE')))
  })
})
