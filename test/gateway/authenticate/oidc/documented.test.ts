import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadWorld } from '../../../config/world.ts'
import { repositoryRoot } from '../../../house/source-files.ts'

const document = readFileSync(join(repositoryRoot, 'docs', 'authenticators', 'oidc.md'), 'utf8')
const [, example = ''] = /^```yaml\n([\s\S]*?)^```$/m.exec(document) ?? []

const ROUTES = `
defaults: { host: bank.example, upstream: bank, engine: bank, authenticate: [browser] }
routes:
  - name: page
    match: GET /accounts/{id}
    evaluation: { action: read, resource: { type: Account, id: $path.id } }
`

const load = async (yaml: string) => {
  const { findings } = await loadWorld(
    {
      // The document means a folder of its own for these.
      'sallyport.yaml': yaml.replaceAll('../', ''),
      'routes/bank.yaml': ROUTES,
      'policies/bank.cedar': 'permit (principal, action, resource);',
      'log/.keep': '',
    },
    {
      OIDC_CLIENT_SECRET: 'a secret of the client that is long enough',
      SESSION_SECRET: 'a secret for sessions that is long enough',
      OLD_SESSION_SECRET: 'an old secret for sessions, long enough',
    },
  )
  return findings.filter(({ severity }) => severity === 'error').map(({ message }) => message)
}

test('the configuration of the document loads', async () => {
  assert.ok(example.includes('type: oidc'))
  assert.deepEqual(await load(example), [])
})

for (const [name, from, to, expected] of [
  ['an issuer over plain http', 'https://idp.example.com', 'http://idp.example.com', /plain http/],
  ['scopes without openid', '[openid, profile, offline_access]', '[profile]', /openid/],
  ['a parameter that the sign-in sets', 'ui_locales: en', 'redirect_uri: x', /redirect_uri/],
  ['a short secret', '{ env: SESSION_SECRET }', '{ env: SHORT }', /SHORT|shorter/],
  ['a page after the logout on another host', '/goodbye ', 'https://evil.example ', /path/],
] as const) {
  test(`${name} is a mistake`, async () => {
    assert.ok(example.includes(from))
    const [first = ''] = await load(example.replace(from, to))
    assert.match(first, expected)
  })
}
