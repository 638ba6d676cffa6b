import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { Mark } from '../../../../src/gateway/decide/revocations/mark.ts'
import { type MarkFile, openMarkFile } from '../../../../src/gateway/decide/revocations/mark-file.ts'

const NOW_MS = 1_000_000

const markOf = (id: string, expiresAtMs = NOW_MS + 1): Mark => ({
  id,
  kind: 'subject',
  target: 'User::alice',
  effect: 'grants',
  reason: 'a line\nand another',
  by: 'oncall',
  issuedAtMs: NOW_MS,
  expiresAtMs,
})

const pathOf = (t: TestContext): string => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-marks-'))
  t.after(() => rmSync(directory, { recursive: true }))
  return join(directory, 'deeper', 'marks.ndjson')
}

const opened = (path: string, nowMs = NOW_MS): MarkFile => {
  const file = openMarkFile(path, nowMs)
  assert.ok(!('failed' in file), 'failed' in file ? file.failed : '')
  return file
}

test('marks are there again after a restart, but for those that were withdrawn or have expired', (t) => {
  const path = pathOf(t)
  const file = opened(path)
  for (const mark of [markOf('1-0'), markOf('2-0'), markOf('3-0', NOW_MS)]) assert.equal(file.add(mark), null)
  assert.equal(file.remove('2-0'), null)
  file.close()
  const again = opened(path)
  assert.deepEqual(again.marks, [markOf('1-0')])
  again.close()
  assert.equal(readFileSync(path, 'utf8').split('\n').length, 2)
})

test('a last line that was cut is dropped, since nobody was told that it is there', (t) => {
  const path = pathOf(t)
  const file = opened(path)
  file.add(markOf('1-0'))
  file.add(markOf('2-0'))
  file.close()
  truncateSync(path, readFileSync(path).length - 10)
  const again = opened(path)
  assert.deepEqual(again.marks, [markOf('1-0')])
  again.close()
})

test('a file with anything else in it is refused, and left as it is', (t) => {
  const path = pathOf(t)
  opened(path).close()
  for (const line of ['not JSON\n', '{"mark":{"id":"1-0"}}\n', '[]\n', '\n']) {
    writeFileSync(path, line)
    const file = openMarkFile(path, NOW_MS)
    assert.ok('failed' in file, line)
    assert.match(file.failed, /marks\.ndjson:1 /)
    assert.equal(readFileSync(path, 'utf8'), line)
  }
  appendFileSync(path, 'x')
})

test('a place that cannot be written is said', (t) => {
  const path = pathOf(t)
  opened(path).close()
  assert.ok('failed' in openMarkFile(join(path, 'marks'), NOW_MS))
})
