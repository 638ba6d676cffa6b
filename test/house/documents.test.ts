import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, test } from 'node:test'
import { GATEWAY, loadWorld, ROUTES, SOUND } from '../config/world.ts'
import { repositoryRoot } from './source-files.ts'

const read = (path: string): string => readFileSync(join(repositoryRoot, path), 'utf8')

const DOCUMENTS = [
  ...readdirSync(repositoryRoot),
  ...readdirSync(join(repositoryRoot, 'docs'), { recursive: true, encoding: 'utf8' }).map((path) =>
    join('docs', path),
  ),
  'config/reference.md',
  'k8s/README.md',
  'bench/README.md',
].filter((path) => path.endsWith('.md') && existsSync(join(repositoryRoot, path)))

const blocksOf = (text: string, language: string): readonly string[] =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\`$`, 'gm'))].map(
    ([, block = '']) => block,
  )

/** As GitHub makes them. */
const anchorsOf = (text: string): ReadonlySet<string> =>
  new Set(
    [...text.matchAll(/^#+ +(.*)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replace(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )

describe('the links in the documents', () => {
  for (const path of DOCUMENTS) {
    test(`of ${path} lead somewhere`, () => {
      const prose = read(path).replace(/^```[\s\S]*?^```$/gm, '')
      const broken = [...prose.matchAll(/\]\((?!https?:|mailto:)([^)\s]*)\)/g)].flatMap(([, link = '']) => {
        const [file = '', anchor] = link.split('#')
        const target = file === '' ? path : join(dirname(path), file)
        if (!existsSync(join(repositoryRoot, target))) return [link]
        const isFound = anchor === undefined || !target.endsWith('.md') || anchorsOf(read(target)).has(anchor)
        return isFound ? [] : [link]
      })
      assert.deepEqual(broken, [])
    })
  }
})

describe('the route maps in docs/route-map.md', () => {
  const examples = blocksOf(read('docs/route-map.md'), 'yaml')

  test('are there', () => assert.ok(examples.length >= 10))

  for (const example of examples) {
    const name = /name: (\S+?),?\s/.exec(example)?.[1]
    test(`load: the one with ${name}`, async () => {
      const gateway = String(SOUND[GATEWAY])
        .replace('  - routes/*.yaml', '  - { files: routes/*.yaml, public: [/health], secrets: [backend] }')
        .replace(', schema: bank.cedarschema', '')
      const { lines, configuration } = await loadWorld({ ...SOUND, [GATEWAY]: gateway, [ROUTES]: example })
      assert.notEqual(configuration, null, lines.join('\n'))
      assert.deepEqual(
        lines.filter((line) => line.includes(': error: ')),
        [],
      )
    })
  }
})

describe('the threat model', () => {
  const rows = read('docs/threat-model.md')
    .split('\n')
    .filter((line) => /^\| [STRIDE] \|/.test(line))

  test('names for each threat a test that is there, or says why there is none', () => {
    const advisories = read('docs/advisories.md')
    const missing = rows.flatMap((row) => {
      const tests = row.split('|').at(-2) ?? ''
      const files = [...tests.matchAll(/`([^`]+\.test\.ts)`/g)].map(([, file = '']) => file)
      const numbers = [...tests.replace(/`[^`]*`/g, '').matchAll(/(\d+)( to (\d+))?/g)].map(
        ([, number = '']) => number,
      )
      const isNone = /none: /.test(tests)
      if (files.length + numbers.length === 0 && !isNone) return [row]
      return [
        ...files.filter((file) => !existsSync(join(repositoryRoot, 'test', file))),
        ...numbers.filter((number) => !advisories.includes(`| ${number} |`)),
      ]
    })
    assert.ok(rows.length > 30)
    assert.deepEqual(missing, [])
  })

  test('has every letter of STRIDE', () => {
    assert.deepEqual([...new Set(rows.map((row) => row[2]))].join(''), 'STRIDE')
  })
})

test('docs/admin-api.md has every metric that there is', () => {
  const sources = ['metrics/exposition.ts', 'front/merge-answers.ts'].map((path) => read(`src/admin/${path}`))
  const names = new Set(sources.join('').match(/\bsallyport_[a-z_]+\b/g))
  assert.ok(names.size > 20)
  const document = read('docs/admin-api.md')
  assert.deepEqual(
    [...names].filter((name) => !document.includes(`\`${name}\``)),
    [],
  )
})

test('docs/admin-api.md has every endpoint that there is', () => {
  const folder = join(repositoryRoot, 'src/admin')
  const sources = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) =>
    path.endsWith('.ts'),
  )
  const paths = sources.flatMap((path) =>
    [...read(`src/admin/${path}`).matchAll(/\bpath: '(\/[^']+)'/g)].map(([, found = '']) =>
      found.replace(/\{.+?\}/g, '<id>'),
    ),
  )
  assert.ok(paths.length > 10)
  const document = read('docs/admin-api.md')
  assert.deepEqual(
    paths.filter((path) => !document.includes(path)),
    [],
  )
})
