import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { addTest } from '../../src/cli/test.ts'
import { ENV, SOUND } from '../config/world.ts'
import { type Ran, runCommand } from '../support/command.ts'
import { layOut } from '../support/gateway.ts'

const TESTS = `tests:
  - name: a user reads an account
    request: { method: GET, url: https://bank.example.com/accounts/42, claims: { sub: bob } }
    expect: { decision: allow, code: allowed, status: 200, route: read-account, source: engine, engine: bank, reasons: [owner-read], subject: { type: User, id: bob }, action: read, resource: { type: Account, id: "42" }, context: {}, upstream: { name: core, target: /accounts/42 } }
  - name: a table of cells
    request: { url: https://bank.example.com/accounts/1, claims: { sub: bob } }
    expect: { route: read-account }
    columns: [method, expect.subject.id, request.claims.sub, code, route]
    rows:
      - [GET, alice, alice, allowed, read-account]
      - [DELETE, null, alice, no_route, null]
  - name: a table of maps
    request: { url: https://bank.example.com/accounts/1 }
    expect: { route: read-account }
    rows:
      - { name: with a token, request: { claims: { sub: zoe } }, expect: { decision: allow } }
      - { expect: { code: unauthenticated, status: 401 } }
`

const FILES = { ...SOUND, 'tests/bank.yaml': TESTS } as Readonly<Record<string, string>>

describe('sallyport test', () => {
  let directory: string
  before(() => {
    directory = layOut(FILES)
  })
  after(() => rmSync(directory, { recursive: true, force: true }))

  const write = (name: string, content: string): void => writeFileSync(join(directory, name), content)

  const run = async (...args: readonly string[]): Promise<Ran> => {
    const named = args.map((arg) => (/\.(yaml|xml)$/.test(arg) ? join(directory, arg) : arg))
    const config = named.includes('--config') ? [] : ['--config', join(directory, 'sallyport.yaml')]
    const { status, stdout, stderr } = await runCommand(addTest, ['test', ...config, ...named], { env: ENV })
    const short = (text: string): string => text.replaceAll(`${directory}/`, '')
    return { status, stdout: short(stdout), stderr: short(stderr) }
  }

  /** With another file of tests, as long as it takes. */
  const withTests = async (tests: string, ...args: readonly string[]): Promise<Ran> => {
    write('tests/bank.yaml', tests)
    try {
      return await run(...args)
    } finally {
      write('tests/bank.yaml', TESTS)
    }
  }

  test('finds the tests beside the configuration, and exits 0 when all pass', async () => {
    assert.deepEqual(await run(), {
      status: 0,
      stdout: '5 passed, 0 failed, in tests/bank.yaml\n',
      stderr: '',
    })
  })

  test('says on one line what was expected and what was found, at its place, and exits 1', async () => {
    const { status, stdout } = await withTests(TESTS.replace('reasons: [owner-read]', 'reasons: [somebody]'))
    assert.equal(status, 1)
    assert.deepEqual(stdout.trimEnd().split('\n'), [
      'tests/bank.yaml:4:120: error: a user reads an account: reasons: expected ["somebody"], found ["owner-read"]',
      '4 passed, 1 failed, in tests/bank.yaml',
    ])
  })

  const wrong: Readonly<Record<string, readonly [string, string, string]>> = {
    decision: ['decision: allow, code', 'decision: deny, code', 'decision: expected deny, found allow'],
    status: ['status: 200', 'status: 403', 'status: expected 403, found 200'],
    route: ['status: 200, route: read-account', 'status: 200, route: other', 'route: expected other'],
    'an action': ['action: read', 'action: write', 'action: expected write, found {"name":"read"}'],
    'a resource': ['id: "42"', 'id: "43"', 'resource: expected {"type":"Account","id":"43"}'],
    'a key of the context': ['context: {}', 'context: { mfa: true }', 'context: expected {"mfa":true}'],
    'the target': ['target: /accounts/42', 'target: /', 'upstream: expected'],
    'a cell': [
      '[DELETE, null, alice, no_route, null]',
      '[DELETE, null, alice, denied, null]',
      'DELETE, null, alice, denied, null: code: expected denied, found no_route',
    ],
    'a row': ['status: 401', 'status: 402', 'a table of maps: row 2: status: expected 402, found 401'],
  }
  for (const [what, [from, to, message]] of Object.entries(wrong)) {
    test(`fails for ${what} that is not as expected`, async () => {
      const { status, stdout } = await withTests(TESTS.replace(from, to))
      assert.equal(status, 1)
      assert.ok(stdout.includes(message), stdout)
    })
  }

  const mistakes: Readonly<Record<string, readonly [string, string, string]>> = {
    'an unknown key': ['expect: { decision', 'expect: { decison: 1, decision', 'decison'],
    'an unknown column': ['columns: [method', 'columns: [metod', 'metod'],
    'a column that could be either': [
      'expect.subject.id',
      'subject.id',
      'request.subject.id or expect.subject.id',
    ],
    'a row of another length': ['[GET, alice, alice,', '[GET, alice,', 'expected 5 cells'],
    'a cell of another type': ['[GET, alice,', '[7, alice,', 'method'],
    'a test without a url': ['url: https://bank.example.com/accounts/42, ', '', 'no url'],
  }
  for (const [what, [from, to, message]] of Object.entries(mistakes)) {
    test(`exits 2 for ${what}, and says where`, async () => {
      const { status, stderr } = await withTests(TESTS.replace(from, to))
      assert.equal(status, 2)
      assert.match(stderr, /^tests\/bank\.yaml:\d+:\d+: error: /)
      assert.ok(stderr.includes(message), stderr)
    })
  }

  test('exits 2 when the configuration is wrong, when a file is missing, and when there is no test', async () => {
    write('bad.yaml', 'version: 2\n')
    assert.equal((await run('--config', 'bad.yaml')).status, 2)
    assert.equal((await run('no-such.yaml')).status, 2)
    assert.equal((await withTests('tests: []\n')).status, 2)
  })

  test('takes files *.test.yaml among the route maps for tests, and for no route map', async () => {
    write('routes/more.test.yaml', TESTS)
    try {
      assert.match(
        (await run()).stdout,
        /^10 passed, 0 failed, in routes\/more\.test\.yaml, tests\/bank\.yaml/,
      )
      assert.match(
        (await run('routes/more.test.yaml')).stdout,
        /^5 passed, 0 failed, in routes\/more\.test\.yaml/,
      )
    } finally {
      rmSync(join(directory, 'routes/more.test.yaml'))
    }
  })

  test('tells which routes and policies no test came to', async () => {
    write('policies/more.cedar', '@id("never") forbid (principal, action, resource) when { 1 == 2 };\n')
    const { status, stdout } = await run('--coverage')
    rmSync(join(directory, 'policies/more.cedar'))
    assert.equal(status, 0)
    assert.match(stdout, /routes\/bank\.yaml:8:1: warning: no test comes to the route health/)
    assert.match(stdout, /no test is decided by the policy never of the engine bank/)
    assert.match(stdout, /1 of 2 routes are tested\n1 of 2 policies are tested/)
  })

  test('prints findings as JSON, and JUnit XML into a file', async () => {
    const failing = TESTS.replace('status: 401', 'status: 402').replace(
      'a table of maps',
      'a <table> & "more"',
    )
    const { status, stdout } = await withTests(failing, '--json', '--junit', 'junit.xml')
    assert.equal(status, 1)
    const { findings, passed, failed, tests } = JSON.parse(stdout)
    assert.deepEqual({ passed, failed, count: tests.length }, { passed: 4, failed: 1, count: 5 })
    assert.deepEqual(
      findings.map(({ message, file, ...rest }: { message: string; file: string }) => rest),
      [{ severity: 'error', rule: 'decision-test', line: 17, column: 52 }],
    )
    const xml = readFileSync(join(directory, 'junit.xml'), 'utf8')
    assert.match(xml, /<testsuites tests="5" failures="1"/)
    assert.match(xml, /name="a &lt;table&gt; &amp; &quot;more&quot;: row 2"/)
    assert.match(xml, /<failure message="[^"]*status: expected 402, found 401">/)
  })

  test('runs again when a test is edited, until it is told to stop', async () => {
    const steps: string[] = []
    let stop = (): void => undefined
    const stopped = new Promise<void>((resolve) => {
      stop = resolve
    })
    const seen = (text: string): void => {
      if (text.startsWith('watching')) write('tests/bank.yaml', TESTS.replace('status: 401', 'status: 402'))
      if (/passed/.test(text)) steps.push(text.split(',')[0] ?? '')
      if (text.startsWith('4 passed')) stop()
    }
    try {
      const args = ['test', '--config', join(directory, 'sallyport.yaml'), '--watch']
      const io = { env: ENV, out: seen, err: seen, stopRequested: () => stopped }
      const { status } = await runCommand(addTest, args, io)
      assert.deepEqual({ status, steps }, { status: 1, steps: ['5 passed', '4 passed'] })
    } finally {
      write('tests/bank.yaml', TESTS)
    }
  })
})
