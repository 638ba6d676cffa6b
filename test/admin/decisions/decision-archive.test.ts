import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { createDecisionArchive } from '../../../src/admin/decisions/decision-archive.ts'
import { createDecisionRing } from '../../../src/admin/decisions/decision-ring.ts'
import type { JsonObject } from '../../../src/core/json.ts'
import { START_MS } from './samples.ts'

const NEVER = new AbortController().signal

/** The id of a record tells its time, as a UUIDv7 does. */
const idAt = (number: number): string => {
  const hex = (START_MS + number * 1000).toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-${String(number).padStart(12, '0')}`
}

const lineAt = (number: number): string =>
  JSON.stringify({
    v: 1,
    id: idAt(number),
    time: new Date(START_MS + number * 1000).toISOString(),
    decision: number % 7 === 0 ? 'deny' : 'allow',
    code: 'allowed',
    source: 'engine',
    configVersion: 'sha256:0',
    request: { id: idAt(number), method: 'GET', path: `/accounts/${number}` },
    latencyUs: {},
    writer: 'gw-1.0',
    // Long enough that a place in the file has to be looked for.
    detail: 'x'.repeat(400),
  })

const linesOf = (from: number, to: number): string =>
  Array.from({ length: to - from }, (_, at) => `${lineAt(from + at)}\n`).join('')

const stamp = (number: number): string =>
  new Date(START_MS + number * 1000).toISOString().slice(0, 19).replaceAll(':', '-')

/** A log of 6,000 records, a second each, rotated twice; the oldest part is compressed. */
const archive = (t: TestContext) => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-archive-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'decisions.ndjson')
  writeFileSync(path, linesOf(4000, 6000))
  writeFileSync(join(folder, `decisions.${stamp(4000)}Z.2.ndjson`), linesOf(2000, 4000))
  writeFileSync(join(folder, `decisions.${stamp(2000)}Z.1.ndjson.gz`), gzipSync(linesOf(0, 2000)))
  const ring = createDecisionRing()
  return createDecisionArchive({ ring, file: () => ({ path, redact: null }) })
}

const numbersOf = (decisions: readonly JsonObject[] | undefined): readonly number[] =>
  (decisions ?? []).map(({ id }) => Number(String(id).slice(-12)))

describe('a decision log that was rotated', () => {
  for (const number of [0, 1, 1999, 2000, 3456, 3999, 4000, 5999]) {
    test(`has record ${number}, whatever part that is in`, async (t) => {
      const found = await archive(t).find(idAt(number), NEVER)
      assert.deepEqual(numbersOf(found?.decisions), [number])
    })
  }

  test('does not have a record that was never made', async (t) => {
    const found = await archive(t).find(idAt(2500).replace('-8000-', '-8001-'), NEVER)
    assert.deepEqual([numbersOf(found?.decisions), found?.complete], [[], true])
  })

  test('is searched through all its parts, the newest first', async (t) => {
    const found = await archive(t).search({ decision: 'deny' }, 10_000, NEVER)
    const expected = Array.from({ length: 6000 }, (_, at) => 5999 - at).filter((number) => number % 7 === 0)
    assert.deepEqual([numbersOf(found?.decisions), found?.complete], [expected, true])
  })

  test('is searched no further than was asked for', async (t) => {
    const sinceMs = START_MS + 3990 * 1000
    const found = await archive(t).search({ decision: 'deny', sinceMs }, 10_000, NEVER)
    const numbers = numbersOf(found?.decisions)
    assert.deepEqual([numbers[0], numbers.at(-1), found?.complete], [5999 - (5999 % 7), 3990, true])
  })

  test('gives a page of the newest when there are more, and says so', async (t) => {
    const found = await archive(t).search({ sinceMs: START_MS + 100 * 1000 }, 3, NEVER)
    assert.deepEqual([numbersOf(found?.decisions), found?.complete], [[5999, 5998, 5997], false])
  })
})
