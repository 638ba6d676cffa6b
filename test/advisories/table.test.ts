import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { repositoryRoot } from '../house/source-files.ts'

const NUMBERED = 38

const directory = join(repositoryRoot, 'test', 'advisories')
const files = readdirSync(directory).filter((file) => /^[0-9]{2}-.*\.ts$/.test(file))
const document = readFileSync(join(repositoryRoot, 'docs', 'advisories.md'), 'utf8')
const rows = [...document.matchAll(/^\| ([0-9]+) \| ([^|]+) \| ([^|]+) \|$/gm)].map(
  ([, row, advisory, what]) => ({
    row: Number(row),
    advisory: advisory ?? '',
    what: what ?? '',
    files: [...(what ?? '').matchAll(/`([^`]+\.ts)`/g)].map(([, file]) => file ?? ''),
  }),
)

test('every row of the table is there once, in order, from the first numbered one to the last of ours', () => {
  assert.deepEqual(
    rows.map(({ row }) => row),
    rows.map((_, index) => index + 1),
  )
  assert.ok(rows.length >= NUMBERED, `${rows.length}`)
})

test('a row names a test, or says why it cannot concern us', () => {
  for (const { row, what, files: named } of rows) {
    assert.ok(named.length > 0 || /\bcannot concern us\b/.test(what), `row ${row} does neither`)
  }
})

test('every test that a row names is there and bears its number, and every test has its row', () => {
  const named = rows.flatMap(({ row, files: of }) => of.map((file) => ({ row, file })))
  for (const { row, file } of named) {
    assert.ok(files.includes(file), `row ${row} names ${file}, which is not there`)
    assert.equal(Number(file.slice(0, 2)), row, file)
  }
  assert.deepEqual(
    files.filter((file) => !named.some((other) => other.file === file)),
    [],
  )
})

test('every test is run: the numbered ones by themselves, the others by one file that imports them', () => {
  const runner = readFileSync(join(directory, 'more-of-the-same-class.test.ts'), 'utf8')
  const alone = files.filter((file) => file.endsWith('.test.ts'))
  const imported = [...runner.matchAll(/^import '\.\/([^']+)'$/gm)].map(([, file]) => file ?? '')
  assert.deepEqual([...alone, ...imported].sort(), [...files].sort())
})

test('the threat model names tests and rows that there are', () => {
  const model = readFileSync(join(repositoryRoot, 'docs', 'threat-model.md'), 'utf8')
  const cells = [...model.matchAll(/^\| [STRIDE] \|.* \| ([^|]+) \|$/gm)].map(([, cell]) => cell ?? '')
  assert.ok(cells.length > 0)
  for (const cell of cells) {
    for (const [, file] of cell.matchAll(/`([^`]+\.test\.ts)`/g)) {
      assert.ok(existsSync(join(repositoryRoot, 'test', file ?? '')), `${file}`)
    }
    for (const [number] of cell.replaceAll(/`[^`]*`/g, '').matchAll(/[0-9]+/g)) {
      assert.ok(
        rows.some(({ row }) => row === Number(number)),
        `row ${number}`,
      )
    }
  }
})

for (const file of files) {
  test(`${file} tells the attack first, and sends it to the whole gateway`, () => {
    const lines = readFileSync(join(directory, file), 'utf8').split('\n')
    const told = lines.findIndex((line) => !line.startsWith('// '))
    assert.ok(told >= 3 && told <= 6, `told in ${told} lines`)
    assert.ok(
      lines.some((line) => /\b(?:useTown|startOidcWorld|assertNoStart)\(/.test(line)),
      'no gateway is started',
    )
  })
}
