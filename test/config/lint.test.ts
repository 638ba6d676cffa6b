import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { describe, test } from 'node:test'
import { loadConfiguration } from '../../src/config/load.ts'
import { systemClock } from '../../src/core/clock.ts'
import { repositoryRoot } from '../house/source-files.ts'
import { ENV, type Files, GATEWAY, ROUTES, SOUND, silentLog } from './world.ts'

/** `rule at file:line` of each warning. */
const lintWorld = async (files: Files): Promise<readonly string[]> => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-lint-'))
  try {
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(directory, path)), { recursive: true })
      writeFileSync(join(directory, path), content)
    }
    const options = { env: ENV, clock: systemClock, log: silentLog, lint: true }
    const { findings, configuration } = await loadConfiguration(join(directory, GATEWAY), options)
    assert.notEqual(configuration, null, JSON.stringify(findings))
    return findings
      .filter(({ severity }) => severity === 'warning')
      .map(({ rule, file, line }) => `${rule} at ${relative(directory, file)}:${line}`)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

const BASE: Files = {
  ...SOUND,
  [GATEWAY]: `version: 1
listeners: [{ bind: "127.0.0.1:8080" }]
authenticators:
  staff: { type: jwt, issuer: https://idp.example.com, audience: bank, jwksFile: jwks.json, subject: { type: User, id: $claims.sub } }
engines:
  bank: { type: cedar, policies: [policies/*.cedar] }
upstreams:
  core: { url: "http://127.0.0.1:9000" }
audit: [{ type: file, path: log/decisions.ndjson }]
routes: [routes/*.yaml]
`,
}

/** Where an example brings a schema of its own, the engine has it. */
const withSchema = (files: Files): Files =>
  'bank.cedarschema' in files && !(GATEWAY in files)
    ? {
        ...BASE,
        [GATEWAY]: String(BASE[GATEWAY]).replace('*.cedar] }', '*.cedar], schema: bank.cedarschema }'),
        ...files,
      }
    : { ...BASE, ...files }

const FOLDER = join(repositoryRoot, 'docs', 'lint')
const PAGES = readdirSync(FOLDER).filter((name) => name !== 'README.md')

const examplesOf = (page: string, kind: string): Files => {
  const found = [...page.matchAll(/```\w+ (bad|good) (\S+)\n([\s\S]*?)```/g)]
  return Object.fromEntries(
    found.filter(([, of]) => of === kind).map(([, , path = '', text = '']) => [path, text]),
  )
}

describe('the page of a rule', () => {
  for (const name of PAGES) {
    const rule = name.replace(/\.md$/, '')
    const page = readFileSync(join(FOLDER, name), 'utf8')

    test(`${rule} shows what it finds, and nothing else is found there`, async () => {
      const found = await lintWorld(withSchema(examplesOf(page, 'bad')))
      assert.ok(found.length > 0, 'nothing was found')
      assert.deepEqual(new Set(found.map((line) => line.split(' ')[0])), new Set([rule]))
    })

    test(`${rule} shows how it should be`, async () => {
      assert.deepEqual(await lintWorld(withSchema(examplesOf(page, 'good'))), [])
    })
  }

  test('is there for every rule that is found in the code, and the list has it', () => {
    const sources = [
      'src/config/lint/rules/reach.ts',
      'src/config/lint/rules/decisions.ts',
      'src/config/lint/rules/unused.ts',
    ]
    const text = sources.map((path) => readFileSync(join(repositoryRoot, path), 'utf8')).join('')
    const review = readFileSync(join(repositoryRoot, 'src/gateway/decide/engines/cedar-review.ts'), 'utf8')
    const ids = [
      ...[...text.matchAll(/\bid: '([a-z-]+)'/g)].map(([, id]) => id),
      ...[...review.matchAll(/'((?:unknown|never|unreachable)-[a-z-]+)'/g)].map(([, id]) => id),
    ]
    assert.deepEqual(new Set(ids), new Set(PAGES.map((name) => name.replace(/\.md$/, ''))))
    const list = readFileSync(join(FOLDER, 'README.md'), 'utf8')
    for (const page of PAGES) assert.ok(list.includes(`](${page})`), page)
  })
})

describe('a comment that silences', () => {
  const route = (comment: string, after = ''): Files => ({
    ...BASE,
    [ROUTES]: `defaults: { upstream: core, engine: bank, authenticate: [staff] }
routes:
  - name: read-account
    match: GET /accounts/{id}
    host: bank.example.com
    evaluation: { action: read, resource: { type: Account, id: $path.id } }
${comment}  - name: health${after}
    match: GET /health
    access: public
`,
  })

  test('is not needed where nothing is found', async () => {
    assert.deepEqual(await lintWorld(BASE), [])
  })

  const cases: Readonly<Record<string, readonly [Files, readonly string[]]>> = {
    'right above': [route('  # sallyport-disable public-without-host: probes come by address\n'), []],
    'in a longer comment above': [
      route('  # sallyport-disable public-without-host: probes\n  # come by address\n'),
      [],
    ],
    'on the line itself': [route('', ' # sallyport-disable public-without-host: probes come by address'), []],
    'without a reason': [
      route('  # sallyport-disable public-without-host\n'),
      ['disable-without-reason at routes/bank.yaml:7', 'public-without-host at routes/bank.yaml:8'],
    ],
    'of another rule': [
      route('  # sallyport-disable shadowed-route: for no reason\n'),
      ['unused-disable at routes/bank.yaml:7', 'public-without-host at routes/bank.yaml:8'],
    ],
    'of several rules, one of which is found': [
      route('  # sallyport-disable shadowed-route, public-without-host: probes come by address\n'),
      [],
    ],
    'somewhere else': [
      { ...route(''), [GATEWAY]: `# sallyport-disable public-without-host: probes\n${BASE[GATEWAY]}` },
      ['public-without-host at routes/bank.yaml:7', 'unused-disable at sallyport.yaml:1'],
    ],
  }
  for (const [name, [files, expected]] of Object.entries(cases)) {
    test(`${name}: ${expected.length === 0 ? 'nothing is left' : expected.join(', ')}`, async () => {
      assert.deepEqual(await lintWorld(files), expected)
    })
  }
})

describe('the examples of several teams', () => {
  const check = async (name: string) => {
    const file = join(repositoryRoot, 'config', 'examples', name, 'sallyport.yaml')
    const loaded = await loadConfiguration(file, { env: ENV, clock: systemClock, log: silentLog, lint: true })
    assert.notEqual(loaded.configuration, null, JSON.stringify(loaded.findings))
    const warnings = loaded.findings.filter(({ severity }) => severity === 'warning')
    return {
      files: loaded.sources.files,
      found: new Set(warnings.map(({ file, rule }) => `${rule} in ${file}`)),
    }
  }

  test('have nothing to find where all is well', async () => {
    assert.deepEqual([...(await check('teams')).found], [])
  })

  test('have one fault of every rule, each found, and nothing else', async () => {
    const { files, found } = await check('teams-with-findings')
    const planted = files.flatMap((file) => {
      const marks = readFileSync(file, 'utf8').matchAll(/(?:#|\/\/) finds ([a-z-]+)$/gm)
      return [...marks].map(([, rule]) => `${rule} in ${file}`)
    })
    assert.deepEqual([...found].sort(), [...new Set(planted)].sort())
    const rules = new Set(planted.map((each) => each.split(' ')[0]))
    assert.deepEqual([...rules].sort(), PAGES.map((name) => name.replace(/\.md$/, '')).sort())
  })
})
