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

  const diff = (after: Files, ...args: readonly string[]) => {
    const files = [BEFORE, { ...BEFORE, ...after }].map((world) => {
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

  test('prints JSON, and exits 2 when one of them cannot be read', async () => {
    const { stdout } = await diff({ [ROUTES]: ROUTES_TEXT.replace('action: read', 'action: list') }, '--json')
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
