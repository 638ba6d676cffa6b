import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isRightHost } from '../../src/admin/hosts.ts'

const WILDCARD = { bind: '0.0.0.0:9901', listed: ['gateway.internal'], arrivedAt: '10.1.2.3' }
const SIXTH = { bind: '[::]:9901', listed: [], arrivedAt: '2001:db8::1' }
const MAPPED = { bind: '[::]:9901', listed: [], arrivedAt: '::ffff:10.1.2.3' }
const NAMED = { bind: 'admin.example:9901', listed: [], arrivedAt: '10.1.2.3' }

const CASES: readonly (readonly [string, Parameters<typeof isRightHost>[1], readonly string[], boolean])[] = [
  ['the address that it came in by', WILDCARD, ['10.1.2.3:9901'], true],
  ['another address', WILDCARD, ['10.1.2.4:9901'], false],
  ['the wildcard itself', WILDCARD, ['0.0.0.0:9901'], true],
  ['a listed name on a forwarded port', WILDCARD, ['gateway.internal:30901'], true],
  ['a listed name with the final dot', WILDCARD, ['gateway.internal.'], true],
  ['a name that only begins like a listed one', WILDCARD, ['gateway.internal.evil.example'], false],
  ['localhost', WILDCARD, ['localhost'], true],
  ['an IPv6 address that it came in by', SIXTH, ['[2001:DB8::1]:9901'], true],
  ['an IPv6 address without brackets', SIXTH, ['2001:db8::1'], false],
  ['an IPv4 address that came in as IPv6', MAPPED, ['10.1.2.3'], true],
  ['the name that is bound', NAMED, ['ADMIN.example'], true],
  ['another name', NAMED, ['example'], false],
  ['no host', NAMED, [], false],
  ['an empty host', NAMED, [''], false],
  ['two hosts', NAMED, ['admin.example', 'admin.example'], false],
  ['a host with a user', NAMED, ['x@admin.example'], false],
  ['a host with a path', NAMED, ['admin.example/'], false],
  ['a dot alone', NAMED, ['.'], false],
]

describe('the host of an admin request', () => {
  for (const [name, port, given, expected] of CASES) {
    test(`${expected ? 'may' : 'may not'} be ${name}`, () => assert.equal(isRightHost(given, port), expected))
  }
})
