import assert from 'node:assert/strict'
import { appendFile, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { findEnd, findRecord } from '../../src/demo/find-record.ts'

const first = { id: 'one', decision: 'allow' }
const second = { id: 'two', follows: 'one', decision: 'deny' }
const lines = (...records: readonly object[]): string =>
  records.map((record) => `${JSON.stringify(record)}\n`).join('')

describe('the records of the demo', () => {
  let folder = ''
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'sallyport-records-'))
  })
  after(() => rm(folder, { recursive: true }))

  const log = async (name: string, text: string): Promise<string> => {
    const file = join(folder, name)
    await writeFile(file, text)
    return file
  }

  test('are told from the records that follow them', async () => {
    const file = await log('both', lines(second, first))
    assert.deepEqual(await findRecord(file, 'one'), first)
    assert.deepEqual(await findEnd(file, 'one', AbortSignal.timeout(10_000)), second)
  })

  test('are waited for when the end of a stream is not written yet, or not all of it', async () => {
    const text = lines(second)
    const file = await log('late', lines(first) + text.slice(0, 20))
    const found = findEnd(file, 'one', AbortSignal.timeout(10_000))
    await appendFile(file, text.slice(20))
    assert.deepEqual(await found, second)
  })

  test('are not waited for longer than the caller says', async () => {
    const file = await log('never', lines(first))
    assert.equal(await findEnd(file, 'one', AbortSignal.timeout(1)), null)
  })
})
