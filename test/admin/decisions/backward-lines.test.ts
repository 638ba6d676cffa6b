import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { readLinesBackwards } from '../../../src/admin/decisions/backward-lines.ts'
import { temporaryFolder } from '../../gateway/record/samples.ts'

const readAll = async (
  path: string,
  content: string,
  options: { readonly maxBytes?: number; readonly chunkBytes?: number },
): Promise<{ readonly lines: readonly string[]; readonly atStart: boolean }> => {
  writeFileSync(path, content)
  const file = await open(path, 'r')
  try {
    const lines: string[] = []
    let atStart = false
    for await (const batch of readLinesBackwards(file, Buffer.byteLength(content), options)) {
      lines.push(...batch.lines.map((line) => line.toString()))
      atStart = batch.isLast
    }
    return { lines, atStart }
  } finally {
    await file.close()
  }
}

test('lines come from the last to the first, whatever is read at once', async (t) => {
  const path = join(temporaryFolder(t), 'lines')
  const content = fc.string({ unit: fc.constantFrom('a', 'é', '\n'), maxLength: 60 })
  await fc.assert(
    fc.asyncProperty(content, fc.integer({ min: 1, max: 20 }), async (text, chunkBytes) => {
      const whole = text.slice(0, text.lastIndexOf('\n') + 1)
      const expected = whole.split('\n').slice(0, -1).reverse()
      const { lines, atStart } = await readAll(path, text, { chunkBytes })
      // An empty first line is no record either.
      assert.deepEqual(
        lines.filter((line) => line !== ''),
        expected.filter((line) => line !== ''),
      )
      assert.equal(atStart, true)
    }),
    { numRuns: 300 },
  )
})

test('no more than so many bytes are read, and a line that is cut by that is left out', async (t) => {
  const path = join(temporaryFolder(t), 'lines')
  const read = await readAll(path, 'one\ntwo\nthree\n', { maxBytes: 8, chunkBytes: 3 })
  assert.deepEqual(read, { lines: ['three'], atStart: false })
})

test('a file that was cut meanwhile ends the reading', async (t) => {
  const path = join(temporaryFolder(t), 'lines')
  writeFileSync(path, 'one\n')
  const file = await open(path, 'r')
  t.after(() => file.close())
  for await (const batch of readLinesBackwards(file, 1000)) assert.fail(JSON.stringify(batch))
})
