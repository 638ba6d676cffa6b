import assert from 'node:assert/strict'
import { hash } from 'node:crypto'
import { test } from 'node:test'
import { createApiKey } from '../../src/cli/keys-new.ts'

test('a new key has 256 random bits, a readable id with its day, and the hash that the keys file wants', () => {
  const { key, hash: stored, id } = createApiKey(Date.UTC(2026, 10, 23, 22, 10))
  assert.match(id, /^k20261123-[0-9a-f]{8}$/)
  assert.ok(key.startsWith(`sp_${id}_`))
  assert.equal(Buffer.from(key.slice(`sp_${id}_`.length), 'base64url').length, 32)
  assert.equal(stored, `sha256:${hash('sha256', key, 'hex')}`)
})

test('no two keys are alike', () => {
  const keys = Array.from({ length: 100 }, () => createApiKey(0))
  assert.equal(new Set(keys.map(({ key }) => key)).size, 100)
  assert.equal(new Set(keys.map(({ id }) => id)).size, 100)
})
