import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { compareTree, readTree } from './repository-tree.ts'
import { repositoryRoot } from './source-files.ts'

const isCheckout = existsSync(join(repositoryRoot, '.git'))

describe('the tree in AGENTS.md', () => {
  test('agrees with the files of the repository', {
    skip: isCheckout ? false : 'needs a git checkout',
  }, () => {
    const listed = execFileSync('git', ['ls-files', '-z'], { cwd: repositoryRoot, encoding: 'utf8' })
    const files = listed.split('\0').filter((file) => file !== '' && existsSync(join(repositoryRoot, file)))
    const drawn = readTree(readFileSync(join(repositoryRoot, 'AGENTS.md'), 'utf8'))
    assert.ok(drawn.length > 10)
    assert.deepEqual(compareTree(drawn, files), [])
  })

  const drawn = readTree(
    'text\n```tree\nsrc/\n  core/        # words\n  start.ts\ntest/ docs/\nREADME.md\n```\n',
  )

  test('is read with its levels, comments and short forms', () => {
    assert.deepEqual(drawn, ['src/', 'src/core/', 'src/start.ts', 'test/', 'docs/', 'README.md'])
  })

  const files = [
    'README.md',
    'src/core/a.ts',
    'src/start.ts',
    'test/core/a.test.ts',
    'docs/adr/1.md',
    'x.json',
  ]

  test('may leave out files, and folders below the top outside src', () => {
    assert.deepEqual(compareTree(drawn, files), [])
  })

  test('is wrong when it names what is gone', () => {
    assert.deepEqual(
      compareTree(
        drawn,
        files.filter((file) => file !== 'src/start.ts'),
      ),
      ['src/start.ts is drawn, but is not there'],
    )
  })

  test('is wrong when a folder of src, a top-level folder or a document is missing', () => {
    assert.deepEqual(compareTree(drawn, [...files, 'src/core/new/a.ts', 'bench/a.ts', 'SECURITY.md']), [
      'SECURITY.md is there, but is not drawn',
      'bench/ is there, but is not drawn',
      'src/core/new/ is there, but is not drawn',
    ])
  })
})
