import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gunzipSync, gzipSync } from 'node:zlib'
import type { Clock } from '../../../../src/core/clock.ts'
import { opaEvent } from '../../../../src/gateway/record/opa-event.ts'
import type { FileSinkOptions } from '../../../../src/gateway/record/sinks/file.ts'
import type { RotationConfig } from '../../../../src/gateway/record/sinks/rotation-config.ts'
import type { BareSink } from '../../../../src/gateway/record/sinks/sink.ts'
import { verifyLogs } from '../../../../src/gateway/record/verify.ts'
import {
  chainOf,
  fileSink,
  keepingLog,
  linesOf,
  NOW_MS,
  shortRecord,
  temporaryFolder,
  until,
  writeShort,
} from '../samples.ts'

const WRITER = fileURLToPath(new URL('./writer-process.js', import.meta.url))
const HOUR_MS = 3_600_000
/** Long enough for three records. */
const SIZE = 1024

const movingClock = () => {
  let nowMs = NOW_MS
  const clock: Clock = { nowMs: () => nowMs, monotonicUs: () => 0 }
  return {
    clock,
    advance: (ms: number) => {
      nowMs += ms
    },
  }
}

/** A log in a folder of its own. */
const rotating = (t: TestContext, rotate: RotationConfig, options: Partial<FileSinkOptions> = {}) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'decisions.ndjson')
  const { log, lines: logged } = keepingLog()
  const sink = fileSink(path, { rotate, log, ...options })
  return { folder, path, sink, logged }
}

let id = 0
const write = (sink: BareSink, count: number): void => {
  for (let index = 0; index < count; index += 1) assert.equal(writeShort(sink, `record-${id++}`), true)
}

const logsIn = (folder: string): readonly string[] =>
  readdirSync(folder)
    .filter((name) => /\.ndjson(\.gz)?$/.test(name))
    .sort((left, right) => left.length - right.length || left.localeCompare(right))

const numbersIn = (folder: string): readonly number[] =>
  logsIn(folder)
    .flatMap((name) => (/Z\.(\d+)\.ndjson/.exec(name)?.[1] ?? []) as string)
    .map(Number)
    .sort((left, right) => left - right)

const verification = async (folder: string) => {
  const verified = await verifyLogs(
    logsIn(folder).map((name) => join(folder, name)),
    { heads: [] },
  )
  assert.ok('findings' in verified)
  const { findings, chains } = verified
  return { findings: findings.map(({ rule }) => rule), records: chains.map(({ records }) => records) }
}

test('a file that would exceed its size goes on in a new one, and the chain runs through all of them', async (t) => {
  const { folder, sink, logged } = rotating(t, { size: SIZE })
  write(sink, 20)
  for (const name of logsIn(folder)) assert.ok(statSync(join(folder, name)).size <= SIZE)
  const parts = numbersIn(folder)
  assert.ok(parts.length >= 5)
  assert.ok(existsSync(join(folder, `decisions.2026-11-23T22-10-00Z.${parts[0]}.ndjson`)))
  assert.deepEqual(await verification(folder), { findings: [], records: [20] })
  assert.equal(sink.heads?.()[0]?.seq, 20)
  assert.deepEqual([...new Set(logged.map(({ message }) => message))], ['the audit file was rotated'])
  sink.close()
})

test('a bug when it is looked whether it is time refuses what was held, and ends nothing else', async (t) => {
  let nowMs = (): number => NOW_MS
  const clock: Clock = { nowMs: () => nowMs(), monotonicUs: () => 0 }
  const { path, sink, logged } = rotating(t, { size: SIZE }, { clock })
  const told: unknown[] = []
  const { line, record } = shortRecord('held')
  sink.batch?.hold(line, record, (result) => told.push(result))
  nowMs = () => {
    throw new Error('a bug')
  }
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(told, [{ failed: 'internal error' }])
  assert.match(String(logged.at(-1)?.fields.stack), /^Error: a bug\n/)
  nowMs = () => NOW_MS
  write(sink, 1)
  assert.equal(linesOf(path).length, 1)
  sink.close()
})

test('a log whose name leads nowhere any more when it is time is written on to', (t) => {
  const { path, sink, logged } = rotating(t, { size: SIZE })
  write(sink, 3)
  renameSync(path, `${path}.kept`)
  symlinkSync(basename(path), path)
  write(sink, 3)
  assert.equal(logged.at(-1)?.fields.failed, 'ELOOP')
  rmSync(path)
  renameSync(`${path}.kept`, path)
  sink.close()
  assert.equal(linesOf(path).length, 6)
})

test('records that are held together make no file longer than it may be, and the chain runs through all of them', async (t) => {
  const { folder, sink } = rotating(t, { size: SIZE })
  const told: unknown[] = []
  for (const count of [2, 1, 20, 3]) {
    for (let index = 0; index < count; index += 1) {
      const { line, record } = shortRecord(`record-${id++}`)
      sink.batch?.hold(line, record, (result) => told.push(result))
    }
    sink.batch?.commit()
  }
  sink.close()
  assert.deepEqual(told, Array(26).fill(true))
  for (const name of logsIn(folder)) assert.ok(statSync(join(folder, name)).size <= SIZE)
  assert.deepEqual(await verification(folder), { findings: [], records: [26] })
})

test('a record that is longer than the size of a file has one of its own', async (t) => {
  const { folder, sink } = rotating(t, { size: SIZE })
  write(sink, 1)
  assert.equal(writeShort(sink, 'x'.repeat(3000)), true)
  write(sink, 1)
  sink.close()
  assert.deepEqual(numbersIn(folder), [1, 2])
  assert.deepEqual(await verification(folder), { findings: [], records: [3] })
})

test('a file is written to for as long as it should be, by the clock of the day, also over restarts', async (t) => {
  const { clock, advance } = movingClock()
  const { folder, path, sink } = rotating(t, { every: 24 * HOUR_MS }, { clock })
  write(sink, 2)
  advance(HOUR_MS)
  write(sink, 1)
  sink.close()
  assert.deepEqual(numbersIn(folder), [])
  advance(HOUR_MS)
  const next = fileSink(path, { rotate: { every: 24 * HOUR_MS }, clock })
  assert.deepEqual(numbersIn(folder), [], 'not before there is a record for the new file')
  write(next, 2)
  next.close()
  assert.deepEqual(logsIn(folder), ['decisions.ndjson', 'decisions.2026-11-24T00-10-00Z.3.ndjson'])
  assert.deepEqual(await verification(folder), { findings: [], records: [5] })
})

test('records in the shape of another log tell after a restart when they were made, too', (t) => {
  const { clock, advance } = movingClock()
  const { folder, path, sink } = rotating(t, { every: 24 * HOUR_MS }, { clock })
  const { record } = shortRecord('of the day before')
  assert.equal(sink.write(JSON.stringify(opaEvent(record)), record), true)
  sink.close()
  advance(2 * HOUR_MS)
  const next = fileSink(path, { rotate: { every: 24 * HOUR_MS }, clock })
  assert.equal(next.write(JSON.stringify(opaEvent(record)), record), true)
  next.close()
  assert.deepEqual(numbersIn(folder), [1])
})

test('the oldest parts are deleted when there are more than are to be kept, and the log says where it now begins', async (t) => {
  const { folder, path, sink, logged } = rotating(t, { size: SIZE, keep: 2 })
  write(sink, 20)
  await until(() => numbersIn(folder).length === 2)
  sink.close()
  const { from } = logged.findLast(({ message }) => message === 'old audit files were deleted')?.fields ?? {}
  const files = logsIn(folder).map((name) => join(folder, name))
  assert.deepEqual((await verification(folder)).findings, ['removed'], 'that parts are missing is not hidden')
  const [seq, ...hash] = String(from).split(':')
  const anchor = {
    hash: hash.join(':'),
    seq: Number(seq),
    writer: null,
    file: null,
    signature: 'none',
  } as const
  const anchored = await verifyLogs(files, { heads: [], from: [anchor] })
  assert.ok('findings' in anchored)
  assert.deepEqual(anchored.findings, [])
  assert.equal(anchored.chains[0]?.files.at(-1), path)
})

test('parts are deleted when they are too old, and not before the log was rotated again', async (t) => {
  const { clock, advance } = movingClock()
  const { folder, sink } = rotating(t, { every: HOUR_MS, keepFor: 3 * HOUR_MS }, { clock })
  for (let hour = 0; hour < 3; hour += 1) {
    write(sink, 1)
    advance(HOUR_MS)
  }
  assert.deepEqual(numbersIn(folder), [1, 2])
  advance(24 * HOUR_MS)
  assert.deepEqual(numbersIn(folder), [1, 2])
  write(sink, 1)
  await until(() => numbersIn(folder).length === 1)
  assert.deepEqual(numbersIn(folder), [3])
  sink.close()
})

test('rotated files are compressed in the background, and verified like others', async (t) => {
  const { folder, path, sink } = rotating(t, { size: SIZE, compress: 'gzip' })
  write(sink, 20)
  await until(() => logsIn(folder).every((name) => name.endsWith('.gz') || name === basename(path)))
  sink.close()
  assert.deepEqual(await verification(folder), { findings: [], records: [20] })
  assert.deepEqual(
    readdirSync(folder).filter((name) => name.endsWith('.tmp')),
    [],
  )
  for (const name of logsIn(folder)) assert.equal(statSync(join(folder, name)).mode & 0o777 & ~0o640, 0)
})

test('a compressed part that was altered or cut is found', async (t) => {
  const { folder, sink } = rotating(t, { size: SIZE, compress: 'gzip' })
  write(sink, 10)
  await until(() => logsIn(folder).filter((name) => name.endsWith('.gz')).length >= 2)
  sink.close()
  const [first = ''] = logsIn(folder).filter((name) => name.endsWith('.gz'))
  const packed = readFileSync(join(folder, first))
  const alter = async (content: Buffer): Promise<readonly string[]> => {
    writeFileSync(join(folder, first), content)
    return (await verification(folder)).findings
  }
  const lines = gunzipSync(packed).toString()
  assert.deepEqual(await alter(gzipSync(lines.replace('no_route', 'no_doubt'))), ['changed'])
  assert.ok((await alter(packed.subarray(0, packed.length - 4))).includes('damaged'))
  const checksum = packed.length - 6
  const flipped = Buffer.from(packed.with(checksum, (packed[checksum] ?? 0) ^ 1))
  assert.ok((await alter(flipped)).includes('damaged'))
  assert.deepEqual(await alter(packed), [])
})

test('a part that is there twice, since compressing it was interrupted at its end, is read once and put right', async (t) => {
  const { folder, path, sink } = rotating(t, { size: SIZE })
  write(sink, 10)
  sink.close()
  const [part = ''] = logsIn(folder).filter((name) => name !== basename(path))
  writeFileSync(join(folder, `${part}.gz`), gzipSync(readFileSync(join(folder, part))))
  const leftover = join(folder, `${part}.gz.0193aaaa-0000-7000-8000-000000000001.tmp`)
  writeFileSync(leftover, 'half')
  writeFileSync(join(folder, 'other.gz.0193aaaa-0000-7000-8000-000000000001.tmp'), 'not of this log')
  assert.deepEqual(await verification(folder), { findings: [], records: [10] })
  const next = fileSink(path, { rotate: { size: SIZE, compress: 'gzip' } })
  await until(() => logsIn(folder).every((name) => name.endsWith('.gz') || name === basename(path)))
  next.close()
  assert.ok(!existsSync(leftover))
  assert.equal(readdirSync(folder).filter((name) => name.endsWith('.tmp')).length, 1)
  assert.deepEqual(await verification(folder), { findings: [], records: [10] })
})

for (const compressed of [false, true]) {
  test(`a log that is empty goes on where its newest part ends, ${compressed ? 'compressed or not' : 'as after a crash'}`, async (t) => {
    const { folder, path, sink } = rotating(t, { size: SIZE })
    write(sink, 3)
    sink.close()
    const part = join(folder, 'decisions.2026-11-23T22-10-00Z.3.ndjson')
    renameSync(path, part)
    if (compressed) {
      writeFileSync(`${part}.gz`, gzipSync(readFileSync(part)))
      rmSync(part)
    }
    const next = fileSink(path, { rotate: { size: SIZE, keep: 1, compress: 'gzip' } })
    assert.equal(next.heads?.()[0]?.seq, 3)
    write(next, 2)
    next.close()
    assert.deepEqual(await verification(folder), { findings: [], records: [5] })
  })
}

test('a log whose newest part cannot be read does not begin a new chain', (t) => {
  const folder = temporaryFolder(t)
  writeFileSync(join(folder, 'decisions.2026-11-23T22-10-00Z.3.ndjson.gz'), 'not gzip')
  assert.throws(() => fileSink(join(folder, 'decisions.ndjson')), { code: 'ERR_AUDIT_SINK' })
  assert.ok(!existsSync(join(folder, 'decisions.ndjson.lock')))
})

test('what cannot be rotated is written on to, and tried again later', async (t) => {
  const { clock, advance } = movingClock()
  const { folder, path, sink, logged } = rotating(t, { size: SIZE }, { clock })
  write(sink, 3)
  // A folder in the way of the new file stops everybody, root too.
  mkdirSync(`${path}.next`)
  write(sink, 5)
  assert.deepEqual(numbersIn(folder), [])
  assert.deepEqual(
    logged.map(({ level }) => level),
    ['error'],
  )
  rmSync(`${path}.next`, { recursive: true })
  write(sink, 1)
  assert.deepEqual(numbersIn(folder), [], 'not at every record')
  advance(60_000)
  write(sink, 1)
  assert.deepEqual(numbersIn(folder), [9])
  sink.close()
  assert.deepEqual(await verification(folder), { findings: [], records: [10] })
})

test('a log that somebody else has cut is not rotated, so that the cut stays visible', (t) => {
  const { folder, path, sink } = rotating(t, { size: SIZE })
  write(sink, 3)
  truncateSync(path, 300)
  writeShort(sink, 'x'.repeat(1000))
  assert.deepEqual(numbersIn(folder), [])
  sink.close()
})

test('a log behind a link is rotated where it really is', async (t) => {
  const folder = temporaryFolder(t)
  const elsewhere = temporaryFolder(t)
  const path = join(folder, 'link.ndjson')
  writeFileSync(join(elsewhere, 'decisions.ndjson'), '')
  symlinkSync(join(elsewhere, 'decisions.ndjson'), path)
  const sink = fileSink(path, { rotate: { size: SIZE } })
  write(sink, 10)
  sink.close()
  assert.ok(numbersIn(elsewhere).length >= 2)
  assert.deepEqual(await verification(elsewhere), { findings: [], records: [10] })
})

test('parts of a log without a chain are numbered, and the oldest go first', async (t) => {
  const { folder, sink } = rotating(t, { size: SIZE, keep: 2 }, { chain: false })
  write(sink, 20)
  await until(() => numbersIn(folder).length === 2)
  const last = Math.max(...numbersIn(folder))
  assert.deepEqual(numbersIn(folder), [last - 1, last])
  sink.close()
})

test('a device is not rotated', () => {
  const sink = fileSink('/dev/null', { rotate: { size: SIZE } })
  write(sink, 10)
  sink.close()
})

test('nothing is written after the sink was closed', (t) => {
  const { path, sink } = rotating(t, { size: SIZE })
  write(sink, 1)
  sink.close()
  assert.deepEqual(writeShort(sink, 'late'), { failed: 'it was closed' })
  assert.equal(readFileSync(path, 'utf8').split('\n').length, 2)
})

test('no record that was acknowledged is lost by kill -9 in the midst of rotation and compression', async (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'decisions.ndjson')
  const acknowledged: string[] = []
  for (let round = 0; round < 4; round += 1) {
    const child = spawn(process.execPath, [WRITER, 'rotating', path], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const exited = once(child, 'exit')
    let output = ''
    for await (const chunk of child.stdout) {
      output += chunk
      if (output.length > 20_000 + round * 1000) child.kill('SIGKILL')
    }
    await exited
    acknowledged.push(...output.split('\n').slice(0, -1))
  }
  fileSink(path, { rotate: { size: SIZE } }).close()
  const written = new Set<string>()
  for (const name of logsIn(folder)) {
    const content = readFileSync(join(folder, name))
    const text = (name.endsWith('.gz') ? gunzipSync(content) : content).toString()
    for (const line of text.split('\n')) if (line !== '') written.add(JSON.parse(line).id)
  }
  assert.ok(acknowledged.length > 1000)
  assert.deepEqual(
    acknowledged.filter((each) => !written.has(each)),
    [],
  )
  assert.deepEqual((await verification(folder)).findings, [])
})

test('the parts of one log are not taken for those of another with a longer name', async (t) => {
  const folder = temporaryFolder(t)
  const other = join(folder, 'decisions.0.ndjson')
  writeFileSync(other, `${chainOf(1).lines[0]}\n`)
  writeFileSync(join(folder, 'decisions.0.2026-11-23T22-10-00Z.9.ndjson'), 'x')
  writeFileSync(join(folder, 'decisions.notes.ndjson'), 'x')
  const sink = fileSink(join(folder, 'decisions.ndjson'), {
    rotate: { size: SIZE, keep: 1, compress: 'gzip' },
  })
  write(sink, 10)
  await until(() => readdirSync(folder).some((name) => name.endsWith('.gz')))
  sink.close()
  for (const name of [
    'decisions.0.ndjson',
    'decisions.0.2026-11-23T22-10-00Z.9.ndjson',
    'decisions.notes.ndjson',
  ]) {
    assert.ok(existsSync(join(folder, name)), name)
  }
})
