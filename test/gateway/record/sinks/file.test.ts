import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  copyFileSync,
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
import { dirname, join } from 'node:path'
import { mock, type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { systemClock } from '../../../../src/core/clock.ts'
import { readLink } from '../../../../src/gateway/record/chain.ts'
import { type BareSink, SinkStartError } from '../../../../src/gateway/record/sinks/sink.ts'
import { verifyLogs } from '../../../../src/gateway/record/verify.ts'
import {
  chainOf,
  fileSink,
  guarded,
  keepingLog,
  linesOf,
  shortRecord,
  temporaryFolder,
  writeShort,
} from '../samples.ts'

const WRITER = fileURLToPath(new URL('./writer-process.js', import.meta.url))

const rulesOf = async (...files: readonly string[]): Promise<readonly string[]> => {
  const verification = await verifyLogs(files, { heads: [] })
  assert.ok('findings' in verification)
  return verification.findings.map(({ line, rule }) => `${line} ${rule}`)
}

const seqsOf = (path: string): readonly (number | undefined)[] =>
  linesOf(path).map((line) => readLink(Buffer.from(line))?.seq)

const startError = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof SinkStartError)
  assert.match(error.code, /^ERR_AUDIT_SINK/)
  assert.match(error.message, message)
  return true
}

test('each record is in the file when write returns, tied to the one before it', (t) => {
  const path = join(temporaryFolder(t), 'new', 'folder', 'log.ndjson')
  const sink = fileSink(path)
  for (let seq = 1; seq <= 3; seq += 1) {
    assert.equal(writeShort(sink, `gw-1.0-${seq}`), true)
    assert.deepEqual(linesOf(path), chainOf(seq).lines)
    assert.equal(sink.heads?.()[0]?.hash, chainOf(seq).heads.at(-1))
  }
  sink.close()
  assert.equal(statSync(path).mode & 0o777 & ~0o640, 0)
  assert.equal(statSync(dirname(path)).mode & 0o777 & ~0o750, 0)
})

test('without a chain the line is the record as it is, and there are no heads', (t) => {
  const path = join(temporaryFolder(t), 'log.ndjson')
  const sink = fileSink(path, { chain: false, fsync: true })
  writeShort(sink, 'a')
  sink.close()
  assert.match(readFileSync(path, 'utf8'), /"writer":"gw-1.0"\}\n$/)
  assert.equal(sink.heads, undefined)
})

test('a chain goes on over any number of restarts', (t) => {
  const folder = temporaryFolder(t)
  let run = 0
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 4 }), { maxLength: 6 }), (counts) => {
      const path = join(folder, `log.${run++}.ndjson`)
      let total = 0
      for (const count of counts) {
        const sink = fileSink(path)
        for (let index = 0; index < count; index += 1)
          assert.equal(writeShort(sink, `gw-1.0-${++total}`), true)
        sink.close()
      }
      if (counts.length > 0) assert.deepEqual(linesOf(path), chainOf(total).lines)
    }),
    { numRuns: 30 },
  )
})

test('a record that was torn at any byte is set aside at the next start, and the chain goes on', (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'log.ndjson')
  const { lines } = chainOf(3)
  const whole = `${lines[0]}\n${lines[1]}\n`
  const torn = `${lines[2]}`
  for (let length = 1; length <= torn.length; length += 1) {
    for (const complete of length % 50 === 0 ? [whole, ''] : [whole]) {
      writeFileSync(path, complete + torn.slice(0, length))
      const { log, lines: logged } = keepingLog()
      const sink = fileSink(path, { log })
      assert.equal(readFileSync(path, 'utf8'), complete)
      assert.equal(writeShort(sink, complete === '' ? 'gw-1.0-1' : 'gw-1.0-3'), true)
      sink.close()
      assert.equal(readFileSync(path, 'utf8'), complete === '' ? `${lines[0]}\n` : `${whole}${lines[2]}\n`)
      const [aside = ''] = readdirSync(folder).filter((name) => name.startsWith('log.ndjson.torn-'))
      assert.equal(aside, 'log.ndjson.torn-2026-11-23T221000.123Z')
      assert.equal(readFileSync(join(folder, aside), 'utf8').length, length)
      assert.deepEqual(
        logged.map(({ level, fields }) => [level, fields.bytes]),
        [['warn', length]],
      )
      rmSync(join(folder, aside))
    }
  }
})

test('a last line that is not JSON, such as NULs after a power failure, is set aside too', (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'log.ndjson')
  const { lines } = chainOf(2)
  for (const bytes of [
    '\0'.repeat(5000),
    `\0\0\0\n`,
    `${lines[1]?.slice(0, 9)}\n`,
    `${lines[1]?.slice(0, 9)}\n{"v":1`,
  ]) {
    writeFileSync(path, `${lines[0]}\n${bytes}`)
    const sink = fileSink(path)
    writeShort(sink, 'gw-1.0-2')
    sink.close()
    assert.deepEqual(linesOf(path), lines)
  }
  const aside = readdirSync(folder).filter((name) => name.includes('.torn-'))
  assert.equal(aside.length, 4, 'no torn piece overwrites another')
})

const strangers: Readonly<Record<string, readonly [content: string, message: RegExp]>> = {
  'lines that are not JSON': ['root:x:0\ndaemon:x:1\n', /not a decision log/],
  'text without a newline': ['hello', /not a decision log/],
  'records without a chain': ['{"level":30}\n{"level":30}\n', /without a chain/],
  'records without a chain and a torn one': ['{"level":30}\n{"level"', /without a chain/],
}
for (const [what, [content, message]] of Object.entries(strangers)) {
  test(`a file with ${what} is refused at start and left as it is`, (t) => {
    const folder = temporaryFolder(t)
    const path = join(folder, 'log.ndjson')
    writeFileSync(path, content)
    assert.throws(() => fileSink(path), startError(message))
    assert.equal(readFileSync(path, 'utf8'), content)
    assert.deepEqual(readdirSync(folder), ['log.ndjson'], 'neither a lock nor a torn piece is left')
  })
}

test('a chain is not continued by lines without one', (t) => {
  const path = join(temporaryFolder(t), 'log.ndjson')
  writeFileSync(path, `${chainOf(1).lines[0]}\n`)
  assert.throws(() => fileSink(path, { chain: false }), startError(/holds a chain/))
})

test('what is no file is refused at start', (t) => {
  const folder = temporaryFolder(t)
  assert.throws(() => fileSink(folder), startError(/is not a file/))
  execFileSync('mkfifo', [join(folder, 'pipe')])
  assert.throws(() => fileSink(join(folder, 'pipe')), startError(/is not a file/))
  writeFileSync(join(folder, 'file'), '')
  assert.throws(() => fileSink(join(folder, 'file', 'log.ndjson')), startError(/cannot be opened: E/))
})

test('a full disk fails each write until there is room, is logged once, and the chain does not move', () => {
  const { log, lines } = keepingLog()
  const sink = guarded(fileSink('/dev/full'), { log })
  assert.deepEqual(writeShort(sink, 'a'), { failed: 'ENOSPC' })
  assert.deepEqual(writeShort(sink, 'b'), { failed: 'ENOSPC' })
  assert.deepEqual(sink.heads?.(), [])
  assert.deepEqual(
    lines.map(({ level, fields }) => [level, fields.failed]),
    [['error', 'ENOSPC']],
  )
  sink.close()
  assert.ok(!existsSync('/dev/full.lock'))
})

test('a write that the system cut short leaves nothing behind, and a smaller record still fits', async (t) => {
  const path = join(temporaryFolder(t), 'log.ndjson')
  // Under a limit on the size of files, write(2) takes what fits and then fails: as on a disk that fills up.
  const command = 'ulimit -f 4; exec "$0" "$@"'
  const args = [process.execPath, WRITER, 'lengths', path, '0', '1000', '3000', '2000', '0']
  const output = execFileSync('bash', ['-c', command, ...args], { encoding: 'utf8' })
  assert.deepEqual(output.trim().split('\n'), ['written', 'written', 'EFBIG', 'EFBIG', 'written'])
  assert.deepEqual(seqsOf(path), [1, 2, 3])
  assert.deepEqual(await rulesOf(path), [])
})

/** What was told of a record that was held. */
const holdShort = (sink: BareSink, id: string, told: unknown[]): void => {
  const { line, record } = shortRecord(id)
  sink.batch?.hold(line, record, (result) => told.push(result))
}

test('records that are held are written together, when that is asked for, in order, and each is told', (t) => {
  const path = join(temporaryFolder(t), 'log.ndjson')
  const sink = fileSink(path)
  const told: unknown[] = []
  for (let seq = 1; seq <= 3; seq += 1) holdShort(sink, `gw-1.0-${seq}`, told)
  assert.deepEqual([linesOf(path), told, sink.heads?.()], [[], [], []])
  sink.batch?.commit()
  assert.deepEqual(linesOf(path), chainOf(3).lines)
  assert.deepEqual(told, [true, true, true])
  assert.equal(sink.heads?.()[0]?.hash, chainOf(3).heads.at(-1))
  sink.batch?.commit()
  assert.equal(told.length, 3, 'each is told once')
  sink.close()
})

for (const [what, step] of Object.entries({
  'at the end of the turn': async () => {
    await new Promise((resolve) => setImmediate(resolve))
  },
  'before one that is not held': (sink: BareSink) => {
    writeShort(sink, 'gw-1.0-3')
  },
  'when the sink is closed': (sink: BareSink) => sink.close(),
})) {
  test(`records that are held are written ${what}`, async (t) => {
    const path = join(temporaryFolder(t), 'log.ndjson')
    const sink = fileSink(path)
    const told: unknown[] = []
    for (const id of ['gw-1.0-1', 'gw-1.0-2']) holdShort(sink, id, told)
    await step(sink)
    assert.deepEqual(told, [true, true])
    assert.deepEqual(linesOf(path).slice(0, 2), chainOf(2).lines)
    assert.deepEqual(await rulesOf(path), [])
    if (what !== 'when the sink is closed') sink.close()
  })
}

test('held or not, the log is the same', async (t) => {
  const folder = temporaryFolder(t)
  let run = 0
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.constant('hold' as const) },
    { weight: 2, arbitrary: fc.constant('write' as const) },
    { weight: 1, arbitrary: fc.constantFrom('commit' as const, 'turn' as const, 'restart' as const) },
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), fc.boolean(), async (steps, chain) => {
      const path = join(folder, `log.${run++}.ndjson`)
      let sink = fileSink(path, { chain })
      const told: unknown[] = []
      let [total, held] = [0, 0]
      for (const each of steps) {
        if (each === 'hold') holdShort(sink, `gw-1.0-${++total}`, told)
        if (each === 'hold') held += 1
        if (each === 'write') assert.equal(writeShort(sink, `gw-1.0-${++total}`), true)
        if (each === 'commit') sink.batch?.commit()
        if (each === 'turn') await new Promise((resolve) => setImmediate(resolve))
        if (each === 'restart') {
          sink.close()
          sink = fileSink(path, { chain })
        }
        if (each === 'hold') continue
        assert.equal(told.length, held)
        assert.equal(linesOf(path).length, total)
      }
      sink.close()
      assert.deepEqual(told, Array(held).fill(true))
      if (chain) assert.deepEqual(linesOf(path), chainOf(total).lines)
      else
        assert.deepEqual(
          linesOf(path).map((line): string => JSON.parse(line).id),
          Array.from({ length: total }, (_, index) => `gw-1.0-${index + 1}`),
        )
    }),
    { numRuns: 60 },
  )
})

test('a bug in one of those who are told keeps nothing from the others', async (t) => {
  const { log, lines } = keepingLog()
  const sink = fileSink(join(temporaryFolder(t), 'log.ndjson'), { log })
  const told: unknown[] = []
  const { line, record } = shortRecord('a')
  sink.batch?.hold(line, record, () => {
    throw new Error('a bug')
  })
  holdShort(sink, 'b', told)
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual(told, [true])
  assert.match(String(lines[0]?.fields.stack), /^Error: a bug\n/)
  sink.close()
})

test('more than fits is written before, and what is longer than all room too', async (t) => {
  const path = join(temporaryFolder(t), 'log.ndjson')
  const sink = fileSink(path)
  const told: unknown[] = []
  const lengths = [10, 30_000, 30_000, 10, 200_000, 10, 200_000, 200_000]
  for (const [index, length] of lengths.entries()) holdShort(sink, `${index}${'x'.repeat(length)}`, told)
  assert.ok(told.length < lengths.length)
  sink.batch?.commit()
  assert.deepEqual(told, Array(lengths.length).fill(true))
  assert.deepEqual(
    linesOf(path).map((line) => JSON.parse(line).id.length),
    lengths.map((length) => length + 1),
  )
  assert.deepEqual(await rulesOf(path), [])
  sink.close()
})

test('records that are held on a full disk are all told so, and the chain does not move', () => {
  const sink = fileSink('/dev/full')
  const told: unknown[] = []
  for (const id of ['a', 'b']) holdShort(sink, id, told)
  sink.batch?.commit()
  assert.deepEqual(told, [{ failed: 'ENOSPC' }, { failed: 'ENOSPC' }])
  assert.deepEqual(sink.heads?.(), [])
  sink.close()
})

test('of records that were held together and cut short none is left behind, and the chain goes on before them', async (t) => {
  const path = join(temporaryFolder(t), 'log.ndjson')
  // Of the six that are held, the first three would fit.
  const args = [process.execPath, WRITER, 'held', path, '0', '1000', '0', '500', '500', '500', '500', '500']
  const output = execFileSync('bash', ['-c', 'ulimit -f 4; exec "$0" "$@"', ...args], { encoding: 'utf8' })
  assert.deepEqual(output.trim().split('\n'), [
    ...['written', 'written'],
    ...Array(6).fill('EFBIG'),
    'written after all',
  ])
  assert.deepEqual(seqsOf(path), [1, 2, 3])
  assert.deepEqual(await rulesOf(path), [])
})

test('a second writer of a file is refused, whatever name it uses', async (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'log.ndjson')
  const sink = fileSink(path)
  symlinkSync(path, join(folder, 'alias.ndjson'))
  assert.throws(() => fileSink(path), startError(new RegExp(`held by process ${process.pid}`)))
  assert.throws(() => fileSink(join(folder, 'alias.ndjson')), startError(/another gateway writes this file/))
  assert.equal(writeShort(sink, 'a'), true)
  sink.close()
  fileSink(path).close()
  assert.ok(!existsSync(`${path}.lock`))
})

test('no record that was acknowledged is lost by kill -9, and the next process goes on at once', async (t) => {
  const path = join(temporaryFolder(t), 'log.ndjson')
  const acknowledged: string[] = []
  for (let round = 0; round < 4; round += 1) {
    const child = spawn(process.execPath, [WRITER, 'forever', path], { stdio: ['ignore', 'pipe', 'inherit'] })
    const exited = once(child, 'exit')
    let output = ''
    for await (const chunk of child.stdout) {
      if (output === '') assert.throws(() => fileSink(path), startError(new RegExp(`process ${child.pid}`)))
      output += chunk
      if (output.length > 20_000) child.kill('SIGKILL')
    }
    await exited
    acknowledged.push(...output.split('\n').slice(0, -1))
  }
  fileSink(path).close()
  const written = new Set(linesOf(path).map((line): string => JSON.parse(line).id))
  assert.ok(acknowledged.length > 1000)
  assert.deepEqual(
    acknowledged.filter((id) => !written.has(id)),
    [],
  )
  assert.deepEqual(await rulesOf(path), [])
})

/** A sink whose watch over its file is driven by hand. */
const watched = (t: TestContext, path: string) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.after(() => mock.timers.reset())
  const { log, lines } = keepingLog()
  const sink = fileSink(path, { log, clock: systemClock, watchMs: 10 })
  t.after(() => sink.close())
  return { sink, lines, look: () => mock.timers.tick(10) }
}

for (const [what, move] of Object.entries({
  'was renamed': (path: string) => renameSync(path, `${path}.1`),
  'was copied and emptied': (path: string) => {
    copyFileSync(path, `${path}.1`)
    truncateSync(path)
  },
})) {
  test(`the chain goes on in a new file when the old one ${what}`, async (t) => {
    const path = join(temporaryFolder(t), 'log.ndjson')
    const { sink, lines, look } = watched(t, path)
    writeShort(sink, 'a')
    move(path)
    look()
    assert.equal(writeShort(sink, 'b'), true)
    assert.deepEqual([seqsOf(`${path}.1`), seqsOf(path)], [[1], [2]])
    assert.deepEqual(await rulesOf(`${path}.1`, path), [])
    look()
    assert.deepEqual(
      lines.map(({ level }) => level),
      ['error'],
    )
  })
}

test('nothing is written to another log that was put in the place of this one', (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'log.ndjson')
  const { sink, lines, look } = watched(t, path)
  writeShort(sink, 'a')
  writeFileSync(join(folder, 'other'), `${chainOf(3, 'other').lines.join('\n')}\n`)
  renameSync(path, join(folder, 'kept'))
  renameSync(join(folder, 'other'), path)
  look()
  look()
  assert.deepEqual(writeShort(sink, 'b'), { failed: 'the file was replaced by another' })
  renameSync(join(folder, 'kept'), path)
  look()
  assert.equal(writeShort(sink, 'c'), true)
  assert.deepEqual(seqsOf(path), [1, 2])
  assert.equal(lines.filter(({ message }) => message.includes('touched')).length, 1)
})

test('a copy of the log that was put in its place is gone on with, as after an editor', async (t) => {
  const folder = temporaryFolder(t)
  const path = join(folder, 'log.ndjson')
  const { sink, look } = watched(t, path)
  const told: unknown[] = []
  for (const id of ['a', 'b']) holdShort(sink, id, told)
  sink.batch?.commit()
  copyFileSync(path, join(folder, 'copy'))
  renameSync(join(folder, 'copy'), path)
  look()
  assert.equal(writeShort(sink, 'c'), true)
  assert.deepEqual(seqsOf(path), [1, 2, 3])
  assert.deepEqual(await rulesOf(path), [])
})

test('nothing is written to a log that somebody has cut', (t) => {
  const path = join(temporaryFolder(t), 'log.ndjson')
  const { sink, look } = watched(t, path)
  writeShort(sink, 'a')
  writeShort(sink, 'b')
  truncateSync(path, 300)
  look()
  assert.deepEqual(writeShort(sink, 'c'), { failed: 'the file was cut by somebody else' })
})

test('a line that somebody else has added stays, is logged, and is found by verification', async (t) => {
  const path = join(temporaryFolder(t), 'log.ndjson')
  const { sink, lines, look } = watched(t, path)
  writeShort(sink, 'a')
  appendFileSync(path, 'not a record\n')
  look()
  writeShort(sink, 'b')
  assert.equal(lines.length, 1)
  assert.deepEqual(await rulesOf(path), ['2 inserted'])
})

test('a folder can be made for several sinks at once', (t) => {
  const folder = join(temporaryFolder(t), 'log')
  mkdirSync(folder)
  const sinks = [0, 1].map((worker) => fileSink(join(folder, `decisions.${worker}.ndjson`)))
  for (const sink of sinks) assert.equal(writeShort(sink, 'a'), true)
  for (const sink of sinks) sink.close()
})
