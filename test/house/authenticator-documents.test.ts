import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { AUTHENTICATOR_KINDS } from '../../src/gateway/authenticate/kinds.ts'
import { ENV, GATEWAY, loadWorld, ROUTES, SOUND } from '../config/world.ts'
import { createAuthority } from '../support/certificates.ts'
import { repositoryRoot } from './source-files.ts'

const read = (path: string): string => readFileSync(join(repositoryRoot, 'docs', path), 'utf8')

const blocksOf = (text: string, language: string): readonly string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(
    ([, block = '']) => block,
  )

const indented = (text: string, by: string): string => text.replace(/^(?=.)/gm, by)

const authority = createAuthority()
const certificate = authority.issue({ commonName: 'gateway', names: ['gateway.example'] })
const FILES = {
  'tls/gw.crt': certificate.cert,
  'tls/gw.key': certificate.key,
  'tls/clients.pem': authority.cert,
  'ca.pem': authority.cert,
  'gw.crt': certificate.cert,
  'gw.key': certificate.key,
}
const SECRETS = { ...ENV, INTROSPECTION_SECRET: 'hunter2-hunter2', CLIENT_SECRET: 'hunter2-hunter2' }

/** What is wrong with a gateway of which these keys are as the document says. */
const mistakesOf = async (
  gateway: string,
  files: Readonly<Record<string, string>> = {},
): Promise<readonly string[]> => {
  const { lines } = await loadWorld({ ...SOUND, ...FILES, ...files, [GATEWAY]: gateway }, SECRETS)
  return lines.filter((line) => line.includes(': error: '))
}

const sound = String(SOUND[GATEWAY])

/** The kinds whose pages have a test of their own. */
const ELSEWHERE: ReadonlySet<string> = new Set(['oidc'])

describe('the pages of the authenticators', () => {
  for (const { type } of AUTHENTICATOR_KINDS) {
    const page = `authenticators/${type}.md`
    if (ELSEWHERE.has(type)) continue

    test(`${type}: has a configuration that loads, and says what is checked and what is not`, async () => {
      const text = read(page)
      const [entry = ''] = blocksOf(text, 'yaml')
      const name = /^(\w+):/.exec(entry)?.[1] ?? assert.fail('there is no entry')
      assert.match(entry, new RegExp(`type: ${type}\\b`))
      const gateway = sound.replace(
        /authenticators:\n(?: {2}.*\n)+/,
        `authenticators:\n${indented(entry, '  ')}`,
      )
      const routes = String(SOUND[ROUTES]).replace('[staff]', `[${name}]`)
      assert.deepEqual(await mistakesOf(gateway, { [ROUTES]: routes }), [])
      assert.match(text, /\*\*Checked\*\*/)
      assert.match(text, /\*\*Not checked\*\*/)
    })
  }

  test('mtls: the listeners load', async () => {
    const listeners = blocksOf(read('authenticators/mtls.md'), 'yaml-listener')
    assert.equal(listeners.length, 2)
    for (const listener of listeners) {
      const gateway = sound.replace(/^listeners:.*$/m, `listeners:\n${indented(listener, '  ')}`)
      assert.deepEqual(await mistakesOf(gateway), [])
    }
  })

  test('api-key: the file of keys loads', async () => {
    const [keys = ''] = blocksOf(read('authenticators/api-key.md'), 'yaml-keys')
    assert.deepEqual(await mistakesOf(sound, { 'keys.yaml': keys }), [])
  })

  test('what tells clients where to get tokens loads', async () => {
    const [resources = ''] = blocksOf(read('authenticators/README.md'), 'yaml-gateway')
    assert.match(resources, /^protectedResources:/)
    assert.deepEqual(await mistakesOf(`${sound}${resources}`), [])
    const twice = resources.replace(/ {2}- resource(?:.*\n)+/, '$&$&')
    assert.equal((await mistakesOf(`${sound}${twice}`)).length, 1)
  })

  test('what a proxy says of the device loads, with the mapping that reads it', async () => {
    const text = read('authenticators/README.md')
    const [listeners = ''] = blocksOf(text, 'yaml-listeners')
    assert.match(listeners, /posture:/)
    const gateway = sound.replace(/^listeners:.*\n/m, listeners)
    const [, context = ''] = /`(context: \{ compliant: [^`]+)`/.exec(text) ?? []
    const routes = String(SOUND[ROUTES]).replace(/^ {6}resource:.*$/m, `$&\n      ${context}`)
    assert.match(routes, /request\.posture/)
    assert.deepEqual(await mistakesOf(gateway, { [ROUTES]: routes }), [])
  })

  test('what a route may require loads', async () => {
    const [require = ''] = blocksOf(read('authenticators/README.md'), 'yaml')
    const routes = String(SOUND[ROUTES]).replace(
      /^ {4}match: GET \/accounts.*$/m,
      `$&\n${indented(require, '    ')}`,
    )
    assert.match(routes, /scopes/)
    assert.deepEqual(await mistakesOf(sound, { [ROUTES]: routes }), [])
  })
})

describe('docs/assertion.md', () => {
  test('has an upstream that loads', async () => {
    const [upstream = ''] = blocksOf(read('assertion.md'), 'yaml')
    const gateway = sound.replace(/upstreams:\n(?: {2}.*\n)+/, `upstreams:\n${indented(upstream, '  ')}`)
    assert.match(gateway, /client_credentials/)
    assert.deepEqual(await mistakesOf(gateway), [])
  })
})
