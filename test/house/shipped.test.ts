import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { repositoryRoot } from './source-files.ts'

const sallyport = (...args: readonly string[]) =>
  spawnSync(process.execPath, [join(repositoryRoot, 'bin', 'sallyport'), ...args], {
    cwd: repositoryRoot,
    encoding: 'utf8',
    timeout: 60_000,
    maxBuffer: 64 * 1024 * 1024,
  })

const explain = (claims: object, ...request: readonly string[]) => {
  const { stdout, stderr } = sallyport('explain', '--json', '--claims', JSON.stringify(claims), ...request)
  assert.equal(stderr, '')
  const { decision, code, route, reasons } = JSON.parse(stdout)
  return { decision, code, route, reasons }
}

describe('the configuration that is shipped', () => {
  test('has no mistake', () => {
    const { status, stdout, stderr } = sallyport('check')
    assert.equal(status, 0, stdout + stderr)
  })

  test('passes its own decision tests, which leave no route and no policy out', () => {
    const { status, stdout, stderr } = sallyport('test', '--coverage')
    assert.equal(status, 0, stdout + stderr)
    assert.doesNotMatch(stdout, /warning/)
  })

  test('lets an owner read an account, and nobody else but a clerk', () => {
    const read = ['GET', 'http://localhost/accounts/2001']
    const allowedBy = (policy: string) => ({
      decision: 'allow',
      code: 'allowed',
      route: 'read-account',
      reasons: [policy],
    })
    assert.deepEqual(explain({ sub: 'bob' }, ...read), allowedBy('owner-read'))
    assert.deepEqual(explain({ sub: 'carol' }, ...read), allowedBy('clerk-read'))
    assert.deepEqual(explain({ sub: 'alice' }, ...read), {
      decision: 'deny',
      code: 'denied',
      route: 'read-account',
      reasons: [],
    })
  })

  const orders: Readonly<Record<string, readonly [object, string, number, string, readonly string[]]>> = {
    'over the limit': [{ sub: 'alice' }, '1001', 100_001, 'deny', ['transfer-limit']],
    'at the limit': [{ sub: 'alice' }, '1001', 100_000, 'allow', ['credit-known-account', 'owner-transfer']],
    'over the limit with a second factor': [
      { sub: 'alice', amr: ['mfa'] },
      '1001',
      100_001,
      'allow',
      ['credit-known-account', 'owner-transfer'],
    ],
    'of a negative amount': [{ sub: 'alice', amr: ['mfa'] }, '1001', -1, 'deny', ['positive-amount']],
    'from a frozen account': [{ sub: 'bob' }, '2002', 1, 'deny', ['frozen-account']],
  }
  for (const [name, [claims, from, amountCents, decision, reasons]] of Object.entries(orders)) {
    test(`decides a transfer ${name}: ${decision}`, () => {
      const folder = mkdtempSync(join(tmpdir(), 'sallyport-shipped-'))
      try {
        const order = join(folder, 'order.json')
        writeFileSync(order, JSON.stringify({ to: '2001', amountCents }))
        const url = `http://localhost/accounts/${from}/transfers`
        const found = explain(claims, '-H', 'Content-Type: application/json', '--data', order, 'POST', url)
        const code = decision === 'allow' ? 'allowed' : 'denied'
        assert.deepEqual(found, { decision, code, route: 'transfer', reasons })
      } finally {
        rmSync(folder, { recursive: true })
      }
    })
  }

  const schemas = {
    'sallyport.schema.json': [],
    'routes.schema.json': ['--routes'],
    'tests.schema.json': ['--tests'],
  }
  for (const [name, options] of Object.entries(schemas)) {
    test(`is described to editors by ${name} as the code has it now (else: npm run schema)`, () => {
      const written = readFileSync(join(repositoryRoot, 'config', name), 'utf8')
      assert.equal(sallyport('schema', ...options).stdout, written)
    })
  }
})

test('the demo goes as it should', () => {
  const { status, stdout, stderr } = sallyport('demo', '--once')
  assert.equal(status, 0, stdout + stderr)
  assert.match(stdout, /(\d+) of \1 steps went as they should/)
})
