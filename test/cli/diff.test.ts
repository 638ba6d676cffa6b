import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, test } from 'node:test'
import { addDiff } from '../../src/cli/diff.ts'
import { ENV, GATEWAY, ROUTES, SOUND } from '../config/world.ts'
import { runCommand } from '../support/command.ts'
import { layOut } from '../support/gateway.ts'

type Files = Readonly<Record<string, string>>

const BEFORE = SOUND as Files
const GATEWAY_TEXT = String(SOUND[GATEWAY])
const ROUTES_TEXT = String(SOUND[ROUTES])
const POLICY = String(SOUND['policies/bank.cedar'])

describe('sallyport diff', () => {
  const directories: string[] = []
  afterEach(() => {
    for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
  })

  const diff = (after: Files, args: readonly string[] = [], before: Files = {}) => {
    const files = [
      { ...BEFORE, ...before },
      { ...BEFORE, ...after },
    ].map((world) => {
      const directory = layOut(world)
      directories.push(directory)
      return join(directory, GATEWAY)
    })
    return runCommand(addDiff, ['diff', ...files, ...args], { env: ENV })
  }

  test('finds no difference in order, comments, layout and long forms', async () => {
    const { status, stdout } = await diff({
      [GATEWAY]: `# another\n${GATEWAY_TEXT}limits: { bodyBytes: 1048576 }\n`,
      [ROUTES]: ROUTES_TEXT.replace('action: read', 'action: { name: "read" } # the same'),
      'policies/bank.cedar': `// moved\n${POLICY.replaceAll(', ', ',\n  ')}`,
    })
    assert.deepEqual({ status, stdout }, { status: 0, stdout: 'they mean the same\n' })
  })

  const edits: Readonly<Record<string, readonly [Files, string]>> = {
    'a route that is gone': [
      { [ROUTES]: ROUTES_TEXT.replace(/ {2}- name: health[\s\S]*$/, '') },
      '- route health',
    ],
    'a route that is new': [
      { [ROUTES]: `${ROUTES_TEXT}  - { name: more, match: GET /more, access: public }\n` },
      '+ route more',
    ],
    'another path': [
      { [ROUTES]: ROUTES_TEXT.replace('GET /accounts/{id}', 'GET /v2/accounts/{id}') },
      '~ route read-account: match.path: /accounts/{id} -> /v2/accounts/{id}',
    ],
    'another action': [
      { [ROUTES]: ROUTES_TEXT.replace('action: read', 'action: list') },
      '~ route read-account: evaluation.action.name: read -> list',
    ],
    'another default': [
      { [ROUTES]: ROUTES_TEXT.replace('authenticate: [staff]', 'authenticate: [staff, partners]') },
      '~ route read-account: authenticate: ["staff"] -> ["staff","partners"]',
    ],
    'a policy that says something else': [
      { 'policies/bank.cedar': POLICY.replace('is User', 'is Partner') },
      '~ policy bank owner-read',
    ],
    'a policy that is new': [
      { 'policies/more.cedar': '@id("more") forbid (principal, action, resource);\n' },
      '+ policy bank more',
    ],
    'another limit': [
      { [GATEWAY]: `${GATEWAY_TEXT}limits: { bodyBytes: 5 }\n` },
      '~ limits.bodyBytes: 1048576 -> 5',
    ],
    'another authenticator': [
      { [GATEWAY]: GATEWAY_TEXT.replace('audience: bank', 'audience: shop') },
      '~ authenticator staff: audience: bank -> shop',
    ],
    'another upstream': [
      { [GATEWAY]: GATEWAY_TEXT.replace('127.0.0.1:9000', '127.0.0.1:9001') },
      '~ upstream core: url: http://127.0.0.1:9000 -> http://127.0.0.1:9001',
    ],
  }
  for (const [what, [after, line]] of Object.entries(edits)) {
    test(`tells of ${what}, and of nothing else`, async () => {
      const { status, stdout } = await diff(after)
      assert.deepEqual({ status, stdout }, { status: 1, stdout: `${line}\n` })
    })
  }

  const authenticators = (entries: string): Files => ({
    [GATEWAY]: GATEWAY_TEXT.replace('authenticators:\n', `authenticators:\n${entries}`),
  })
  const upstreams = (entries: string): Files => ({
    [GATEWAY]: GATEWAY_TEXT.replace('upstreams:\n', `upstreams:\n${entries}`),
  })
  const JWT =
    'type: jwt, issuer: "https://more.example", audience: x, jwksUri: "https://more.example/keys", prefix: m'
  const proxies = (...cidrs: readonly string[]): Files => ({
    [GATEWAY]: GATEWAY_TEXT.replace(
      /listeners:.*\n/,
      `listeners: [{ bind: 127.0.0.1:0, trustedProxies: [{ cidrs: [${cidrs.join(', ')}], headers: [x-forwarded-for] }] }]\n`,
    ),
  })

  const same: Readonly<Record<string, readonly [Files, Files]>> = {
    'defaults that are written out': [
      authenticators(`  more: { ${JWT} }\n`),
      authenticators(
        `  more: { ${JWT}, insecure: false, cooldown: 30s, maxStale: 1h, refresh: 5m, timeout: 5s, subject: { type: User, id: $claims.sub }, dpop: { required: false, maxAge: 1m } }\n`,
      ),
    ],
    'the order of keys, and durations in other units': [
      authenticators(`  more: { ${JWT}, timeout: 2s, refresh: 120s }\n`),
      authenticators(`  more: { refresh: 2m, timeout: 2000ms, ${JWT} }\n`),
    ],
    'other spellings of an origin, and defaults of an upstream': [
      upstreams('  more: { url: "http://127.0.0.1:80" }\n'),
      upstreams('  more: { urls: ["http://127.0.0.1/"], connectTimeout: 2s, headersTimeout: 30000ms }\n'),
    ],
    'other spellings of address ranges': [
      proxies('10.1.2.3/8', '192.0.2.7', '"2001:db8:0:0::1"'),
      proxies('"2001:db8::1/128"', '192.0.2.7/32', '10.0.0.0/8'),
    ],
  }
  for (const [what, [before, after]] of Object.entries(same)) {
    test(`finds no difference in ${what}`, async () => {
      const { status, stdout } = await diff(after, [], before)
      assert.deepEqual({ status, stdout }, { status: 0, stdout: 'they mean the same\n' })
    })
  }

  test('finds no difference in relative and absolute paths to the same file, and one in what a copy holds', async () => {
    const keys = {
      keys: [{ id: 'a', hash: `sha256:${'0'.repeat(64)}`, subject: { type: 'Program', id: 'a' } }],
    }
    const withKeys = (path: string, id: string): Files => ({
      ...authenticators(`  keys: { type: api-key, keysFile: ${path}, prefix: k, header: X-Key }\n`),
      'more.yaml': JSON.stringify(keys).replaceAll('"a"', `"${id}"`),
    })
    const before = layOut({ ...BEFORE, ...withKeys('more.yaml', 'a') })
    directories.push(before)
    const compare = async (after: Files) => {
      const directory = layOut({ ...BEFORE, ...after })
      directories.push(directory)
      const files = [before, directory].map((each) => join(each, GATEWAY))
      return runCommand(addDiff, ['diff', ...files], { env: ENV })
    }
    for (const path of ['./more.yaml', 'routes/../more.yaml', join(before, 'more.yaml')])
      assert.equal((await compare(withKeys(path, 'a'))).stdout, 'they mean the same\n')
    assert.equal(
      (await compare(withKeys('more.yaml', 'b'))).stdout,
      '~ authenticator keys: keysFile: more.yaml -> more.yaml (which holds something else)\n',
    )
    assert.equal(
      (await compare({ ...withKeys('other.yaml', 'a'), 'other.yaml': JSON.stringify(keys) })).stdout,
      '~ authenticator keys: keysFile: more.yaml -> other.yaml\n',
    )
  })

  test('tells of a duration and of a range that are others, in the settings too', async () => {
    const { stdout } = await diff(proxies('10.0.0.0/9'), [], proxies('10.0.0.0/8'))
    assert.match(stdout, /^~ listeners\.0\.trustedProxies: .*10\.0\.0\.0\/8.* -> .*10\.0\.0\.0\/9/)
    const timed = await diff(
      authenticators(`  more: { ${JWT}, timeout: 45s }\n`),
      [],
      authenticators(`  more: { ${JWT} }\n`),
    )
    assert.equal(timed.stdout, '~ authenticator more: timeout: 5s -> 45s\n')
  })

  test('prints JSON, and exits 2 when one of them cannot be read', async () => {
    const { stdout } = await diff({ [ROUTES]: ROUTES_TEXT.replace('action: read', 'action: list') }, [
      '--json',
    ])
    assert.deepEqual(JSON.parse(stdout).routes, {
      added: [],
      removed: [],
      changed: [
        { name: 'read-account', changes: [{ at: 'evaluation.action.name', from: 'read', to: 'list' }] },
      ],
    })
    assert.equal((await diff({ [ROUTES]: 'routes: 5\n' })).status, 2)
  })
})
