import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { canonicalHost } from '../../../src/gateway/accept/canonical-host.ts'

describe('hosts and their one spelling', () => {
  const hosts: Readonly<Record<string, readonly [host: string, port: string, authority: string]>> = {
    'bank.example.com': ['bank.example.com', '', 'bank.example.com'],
    'BANK.Example.com': ['bank.example.com', '', 'bank.example.com'],
    'bank.example.com.': ['bank.example.com', '', 'bank.example.com'],
    'Bank.example.com.:8080': ['bank.example.com', '8080', 'bank.example.com:8080'],
    'bank.example.com:80': ['bank.example.com', '80', 'bank.example.com:80'],
    localhost: ['localhost', '', 'localhost'],
    'a_b-c.x1': ['a_b-c.x1', '', 'a_b-c.x1'],
    '10.0.0.1:65535': ['10.0.0.1', '65535', '10.0.0.1:65535'],
    '[::1]': ['[::1]', '', '[::1]'],
    '[0:0:0:0:0:0:0:1]:9': ['[::1]', '9', '[::1]:9'],
    '[2001:DB8::A]:443': ['[2001:db8::a]', '443', '[2001:db8::a]:443'],
  }
  for (const [text, [host, port, authority]] of Object.entries(hosts)) {
    test(text, () => assert.deepEqual(canonicalHost(text), { host, port, authority }))
  }
})

describe('no hosts', () => {
  for (const text of [
    ...[
      '',
      '.',
      '..',
      'a..b',
      '.a',
      'a..',
      ':',
      ':80',
      'a:',
      'a:0',
      'a:080',
      'a:65536',
      'a:x',
      'a:80:80',
      'a:-1',
      'a: 80',
    ],
    ...[
      'a b',
      ' a',
      'a ',
      'a/b',
      'a?b',
      'a#b',
      'a\\b',
      'a@b',
      'user:pw@a',
      'a,b',
      'a;proto=https,for=1.2.3.4',
      'a%2eb',
    ],
    ...[
      'a"b',
      "a'b",
      'é',
      'a\u00e9',
      'a\0',
      'a\tb',
      '[',
      '[]',
      '[::1',
      '::1',
      '[::1]x',
      '[::1]:',
      '[::1]:0',
      '[fe80::1%25eth0]',
    ],
    ...['[1.2.3.4]', '[v1.x]', 'x'.repeat(256)],
  ]) {
    test(JSON.stringify(text.slice(0, 40)), () => assert.equal(canonicalHost(text), null))
  }
})
