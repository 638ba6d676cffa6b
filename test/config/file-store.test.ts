import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { after, describe, test } from 'node:test'
import { createFileStore } from '../../src/config/file-store.ts'

const directory = mkdtempSync(join(tmpdir(), 'sallyport-files-'))
after(() => rmSync(directory, { recursive: true }))

const FILES = [
  'gw.yaml',
  'routes/a.yaml',
  'routes/b.yaml',
  'routes/b.yml',
  'routes/.hidden.yaml',
  'routes/deep/c.yaml',
  'routes/deep/deeper/d.yaml',
  'routes/..2026/e.yaml',
  'routes/[x].yaml',
]
for (const file of FILES) {
  mkdirSync(dirname(join(directory, file)), { recursive: true })
  writeFileSync(join(directory, file), file)
}
// As Kubernetes mounts a ConfigMap.
symlinkSync('..2026', join(directory, 'routes/..data'))
symlinkSync('..data/e.yaml', join(directory, 'routes/e.yaml'))
// A way back up.
symlinkSync('..', join(directory, 'routes/deep/up'))

const store = () => createFileStore(join(directory, 'gw.yaml'))
const glob = (pattern: string): readonly string[] =>
  store()
    .glob(join(directory, pattern))
    .map((file) => relative(directory, file))

describe('a pattern', () => {
  const PATTERNS: Readonly<Record<string, readonly string[]>> = {
    'routes/a.yaml': ['routes/a.yaml'],
    'routes/none.yaml': [],
    'none/*.yaml': [],
    'routes/*.yaml': ['routes/[x].yaml', 'routes/a.yaml', 'routes/b.yaml', 'routes/e.yaml'],
    'routes/b.*': ['routes/b.yaml', 'routes/b.yml'],
    'routes/[x].yaml': ['routes/[x].yaml'],
    '*/deep/*.yaml': ['routes/deep/c.yaml'],
    'routes/**/c.yaml': ['routes/deep/c.yaml'],
    'routes/deep/**': ['routes/deep/c.yaml', 'routes/deep/deeper/d.yaml'],
    '**/*.yaml': [
      'gw.yaml',
      'routes/[x].yaml',
      'routes/a.yaml',
      'routes/b.yaml',
      'routes/deep/c.yaml',
      'routes/deep/deeper/d.yaml',
      'routes/e.yaml',
    ],
    routes: [],
    'routes/*': ['routes/[x].yaml', 'routes/a.yaml', 'routes/b.yaml', 'routes/b.yml', 'routes/e.yaml'],
  }
  for (const [pattern, expected] of Object.entries(PATTERNS)) {
    test(`${pattern} matches ${expected.length} files, sorted, none that is hidden`, () => {
      assert.deepEqual(glob(pattern), expected)
    })
  }
})

test('why a file cannot be read is told in words', () => {
  const files = store()
  assert.equal(files.read(join(directory, 'none.yaml')), 'no such file')
  assert.equal(files.read(join(directory, 'gw.yaml/x')), 'no such file')
  assert.equal(files.read(join(directory, 'routes')), 'it is a directory')
  assert.equal(files.read('/dev/zero'), 'it is not a regular file')
})

test('a file is read once, so that a load sees one state of it', () => {
  const files = store()
  const file = join(directory, 'changing.yaml')
  writeFileSync(file, 'one')
  const first = files.read(file)
  writeFileSync(file, 'two')
  assert.equal(files.read(file), first)
})
