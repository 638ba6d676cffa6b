import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { repositoryRoot } from './source-files.ts'

const importScript = (name: string) => import(pathToFileURL(join(repositoryRoot, 'scripts', name)).href)

/** A repository in small, set up already; its test files are compiled output, as the compiler is not what is tested. */
const withSmallRepository = (
  tests: Readonly<Record<string, string>>,
  use: (folder: string) => void,
): void => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-scripts-'))
  try {
    for (const name of ['scripts', 'bin', 'package.json', 'package-lock.json', 'tsconfig.json']) {
      cpSync(join(repositoryRoot, name), join(folder, name), { recursive: true })
    }
    symlinkSync(join(repositoryRoot, 'node_modules'), join(folder, 'node_modules'), 'junction')
    mkdirSync(join(folder, 'test'))
    for (const [name, text] of Object.entries(tests)) writeFileSync(join(folder, 'test', name), text)
    use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const runScript = (folder: string, ...args: readonly string[]) => {
  // The variable would keep Node from running any test inside a test.
  const env = { ...process.env, NODE_TEST_CONTEXT: undefined, NODE_V8_COVERAGE: undefined }
  const { status, stdout, stderr } = spawnSync(process.execPath, [...args], {
    cwd: folder,
    env,
    encoding: 'utf8',
    timeout: 60_000,
  })
  return { status, stdout, stderr, lines: stdout.trimEnd().split('\n') }
}

const PASSES = "import { test } from 'node:test'\ntest('a', () => {})\n"
const FAILS =
  "import { test } from 'node:test'\ntest('b', async (t) => { await t.test('c', () => { throw new Error('no') }) })\n"
const SKIPS =
  "import { test } from 'node:test'\ntest('needs a server', { skip: 'redis-server is missing' }, () => {})\n"
const CRASHES = 'throw new Error("at once")\nexport const never = 1\n'

describe('npm test', () => {
  test('ends with the count, and names what was skipped with its reason', () => {
    withSmallRepository({ 'a.test.ts': PASSES, 'b.test.ts': SKIPS }, (folder) => {
      const { status, lines } = runScript(folder, 'scripts/test.mjs')
      assert.equal(lines.at(-1), '1 passed, 0 failed, 1 skipped')
      assert.equal(lines.at(-2), 'skipped: needs a server: redis-server is missing')
      assert.equal(status, 0)
    })
  })

  test('fails when a test fails, counting the test and not its parent', () => {
    withSmallRepository({ 'a.test.ts': PASSES, 'b.test.ts': FAILS }, (folder) => {
      const { status, lines } = runScript(folder, 'scripts/test.mjs')
      assert.equal(lines.at(-1), '1 passed, 1 failed')
      assert.equal(status, 1)
    })
  })

  test('fails when a test file does not get as far as its tests', () => {
    withSmallRepository({ 'a.test.ts': PASSES, 'b.test.ts': CRASHES }, (folder) => {
      const { status, lines } = runScript(folder, 'scripts/test.mjs')
      assert.equal(lines.at(-1), '1 passed, 1 failed')
      assert.equal(status, 1)
    })
  })

  test('fails when the code does not compile', () => {
    withSmallRepository({ 'a.test.ts': `${PASSES}const one: string = 1\nexport { one }\n` }, (folder) => {
      const { status, lines } = runScript(folder, 'scripts/test.mjs')
      assert.equal(lines.at(-1), '0 passed, 1 failed')
      assert.equal(status, 1)
    })
  })

  test('fails when no test ran', () => {
    withSmallRepository({ 'a.test.ts': PASSES }, (folder) => {
      const { status, lines } = runScript(folder, 'scripts/test.mjs', 'no-such-path')
      assert.equal(lines.at(-1), '0 passed, 0 failed')
      assert.equal(status, 1)
    })
  })

  test('forgets a test whose source is gone, and makes an output anew that is gone', () => {
    withSmallRepository({ 'a.test.ts': PASSES, 'b.test.ts': FAILS }, (folder) => {
      assert.equal(runScript(folder, 'scripts/test.mjs').status, 1)
      rmSync(join(folder, 'test', 'b.test.ts'))
      rmSync(join(folder, 'dist', 'test', 'a.test.js'))
      assert.equal(runScript(folder, 'scripts/test.mjs').lines.at(-1), '1 passed, 0 failed')
    })
  })
})

describe('./bin/sallyport', () => {
  test('says what to do when it is not built', () => {
    withSmallRepository({}, (folder) => {
      const { status, stdout, stderr } = runScript(folder, 'bin/sallyport', 'check')
      assert.deepEqual({ status, stdout }, { status: 2, stdout: '' })
      assert.match(stderr, /npm run setup/)
    })
  })
})

describe('the set-up', () => {
  const lock = {
    packages: {
      '': { version: '0.1.0' },
      'node_modules/zod': { version: '4.6.7' },
      'node_modules/other-platform': { version: '1.0.0', optional: true },
    },
  }
  const installed = { packages: { 'node_modules/zod': { version: '4.6.7' } } }

  const cases: Readonly<Record<string, readonly [object, boolean, boolean]>> = {
    'the same packages': [installed, true, true],
    'another version': [{ packages: { 'node_modules/zod': { version: '4.6.6' } } }, true, false],
    'a package that is not installed': [{ packages: {} }, true, false],
    'a package whose folder is gone': [installed, false, false],
  }
  for (const [name, [found, isThere, expected]] of Object.entries(cases)) {
    test(`${expected ? 'leaves' : 'installs'} ${name}`, async () => {
      const { packagesAgree } = await importScript('prepare.mjs')
      assert.equal(
        packagesAgree(lock, found, () => isThere),
        expected,
      )
    })
  }

  test('says which server is missing, what is not tested without it, and how to get it', async () => {
    const { describeMissing } = await importScript('servers.mjs')
    const [line] = describeMissing([
      { command: 'redis-server', aptPackage: 'redis', usedBy: 'shared grants' },
    ])
    assert.match(line, /redis-server.*shared grants.*apt-get install redis/)
  })
})
