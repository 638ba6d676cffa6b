import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { repositoryRoot } from '../house/source-files.ts'
import { createAuthority } from '../support/certificates.ts'
import { runOpa, withoutOpa } from '../support/opa.ts'
import { GATEWAY, loadWorld, SOUND } from './world.ts'

const read = (path: string): string => readFileSync(join(repositoryRoot, path), 'utf8')

const bankFiles = Object.fromEntries(
  ['bank.cedarschema', 'entities.json', 'accounts.cedar', 'transfers.cedar'].map((name) => [
    `policies/bank/${name}`,
    read(`policies/bank/${name}`),
  ]),
)

const files = {
  ...SOUND,
  ...bankFiles,
  'policies/shared/templates.cedar': `@id("reader") permit (principal == ?principal, action, resource == ?resource);`,
  'policies/shared/links.yaml': `links: [{ id: l, template: reader, principal: 'User::"a"', resource: 'Account::"1"' }]`,
  'policies/security/s.cedar': 'permit (principal, action, resource);',
  'keys/ca.pem': createAuthority().cert,
  'keys/bundles.pem': generateKeyPairSync('ec', { namedCurve: 'P-256' })
    .publicKey.export({ type: 'spki', format: 'pem' })
    .toString(),
}

/** The world's gateway file with other engines; its routes ask `bank`, which each example but one has. */
const gatewayWith = (engines: string): string =>
  String(SOUND[GATEWAY]).replace(/^engines:\n(?: .*\n)+/m, engines.replace(/^ {2}mesh:/m, '  bank:'))

for (const page of readdirSync(join(repositoryRoot, 'docs', 'engines')).filter((name) =>
  name.endsWith('.md'),
)) {
  describe(`docs/engines/${page}`, () => {
    const blocks = [...read(`docs/engines/${page}`).matchAll(/^```yaml\n([\s\S]*?)^```$/gm)]
    test('has a configuration', () => assert.ok(blocks.length > 0))
    for (const [index, [, block = '']] of blocks.entries()) {
      const needsBundle = block.includes('bundle: bundle.tar.gz')
      test(`configuration ${index + 1} loads`, { skip: needsBundle && withoutOpa }, async () => {
        const rego = { 'bank/bank.rego': read('policies/bank-rego/bank.rego') }
        const build = [
          'build',
          '-t',
          'wasm',
          '-e',
          'bank/authz/decision',
          '-b',
          'bank',
          '-o',
          'bundle.tar.gz',
        ]
        const bundle = needsBundle ? readFileSync(join(runOpa(rego, build), 'bundle.tar.gz')) : ''
        const world = { ...files, 'bundle.tar.gz': bundle, [GATEWAY]: gatewayWith(block) }
        const { configuration, lines } = await loadWorld(world)
        assert.notEqual(configuration, null, lines.join('\n'))
      })
    }
  })
}
