import assert from 'node:assert/strict'
import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { systemClock } from '../../../../src/core/clock.ts'
import { createHttpSink, type HttpSinkOptions } from '../../../../src/gateway/record/sinks/http.ts'
import { pathOfWriter } from '../../../../src/gateway/record/sinks/writer-path.ts'
import { startCollector, type TestCollector } from '../../../support/collector.ts'
import { keepingLog, temporaryFolder, until, writeShort } from '../samples.ts'

interface Place {
  readonly url: string
  /** As it is configured. */
  readonly path: string
  readonly worker: number | null
  readonly workers: number
}

const open = (t: TestContext, { url, path, worker, workers }: Place, more: Partial<HttpSinkOptions> = {}) => {
  const { log, lines } = keepingLog()
  const sink = createHttpSink({
    name: 'audit[0]',
    url,
    folder: pathOfWriter(path, worker),
    owner: { path, worker, workers },
    lookAfterMs: 1,
    maxBytes: 1 << 20,
    fsync: false,
    format: 'ndjson',
    compress: false,
    headers: [],
    ca: null,
    serverName: null,
    timeoutMs: 10_000,
    batchRecords: 1000,
    batchBytes: 1 << 16,
    batchDelayMs: 1,
    maxRetryDelayMs: 20,
    clock: systemClock,
    log,
    ...more,
  })
  t.after(() => sink.close())
  return { sink, lines }
}

const collector = async (t: TestContext): Promise<TestCollector> => {
  const started = await startCollector()
  t.after(() => started.close())
  return started
}

/** A collector that is away for good. */
const away = async (): Promise<string> => {
  const { url, close } = await startCollector()
  await close()
  return url
}

const OWN = 'a worker that is no more has left records, which are sent now'
const STRANGE = 'records wait in a spool that no sink has'

test('what workers have left whose number is not there any more is sent by the first worker', async (t) => {
  const remote = await collector(t)
  const path = join(temporaryFolder(t), 'spool')
  const url = await away()
  for (const worker of [null, 2, 13]) {
    const { sink } = open(t, { url, path, worker, workers: 14 }, { lookAfterMs: 60_000 })
    assert.equal(writeShort(sink, `of ${worker}`), true)
    sink.close()
  }
  const { sink, lines } = open(t, { url: remote.url, path, worker: 0, workers: 2 })
  assert.equal(writeShort(sink, 'of 0'), true)
  await until(() => remote.taken().length === 4)
  assert.deepEqual([...remote.taken()].sort(), ['of 0', 'of 13', 'of 2', 'of null'])
  await until(() => sink.delivery?.().spoolRecords === 0)
  assert.equal(sink.delivery?.().delivered, 4)
  assert.equal(lines.filter(({ message }) => message === OWN).length, 3)
  sink.close()

  const again = open(t, { url: remote.url, path, worker: 0, workers: 2 })
  assert.equal(writeShort(again.sink, 'later'), true)
  await until(() => remote.taken().length === 5)
  assert.deepEqual(remote.taken().slice(4), ['later'])
  assert.deepEqual(again.lines, [])
})

test('a lock that a worker of another container has left does not keep its records from being sent', async (t) => {
  const remote = await collector(t)
  const path = join(temporaryFolder(t), 'spool')
  const { sink } = open(t, { url: await away(), path, worker: 3, workers: 4 })
  assert.equal(writeShort(sink, 'of 3'), true)
  sink.close()
  const elsewhere = { pid: 1, started: '1', place: 'another container', token: 'of another time' }
  writeFileSync(join(pathOfWriter(path, 3), 'spool.lock'), `${JSON.stringify(elsewhere)}\n`)
  open(t, { url: remote.url, path, worker: 0, workers: 2 })
  await until(() => remote.taken().length === 1)
})

/** What cannot be looked at, as `lost+found` cannot: even root goes round in circles in it. */
const makeCircle = (path: string): void => symlinkSync(path, path)

test('a folder that cannot be looked at keeps nobody from what workers have left', async (t) => {
  const remote = await collector(t)
  const parent = temporaryFolder(t)
  const path = join(parent, 'spool')
  for (const worker of [2, 3, 4]) {
    const { sink } = open(t, { url: await away(), path, worker, workers: 5 }, { lookAfterMs: 60_000 })
    assert.equal(writeShort(sink, `of ${worker}`), true)
    sink.close()
  }
  mkdirSync(join(parent, 'lost+found'))
  makeCircle(join(parent, 'lost+found', 'cursor.json'))
  makeCircle(join(pathOfWriter(path, 2), 'spool.lock'))
  const { lines } = open(t, { url: remote.url, path, worker: null, workers: 1 })
  await until(() => remote.taken().length === 2)
  assert.deepEqual([...remote.taken()].sort(), ['of 3', 'of 4'])
  await until(() => lines.some(({ message }) => message === 'records that a worker has left cannot be sent'))
})

test('what several workers have left is sent by the only one', async (t) => {
  const remote = await collector(t)
  const path = join(temporaryFolder(t), 'spool')
  const before = open(t, { url: await away(), path, worker: 1, workers: 2 })
  assert.equal(writeShort(before.sink, 'of 1'), true)
  before.sink.close()
  open(t, { url: remote.url, path, worker: null, workers: 1 })
  await until(() => remote.taken().length === 1)
})

test('another worker does not look, and what a worker has is left to it', async (t) => {
  const remote = await collector(t)
  const path = join(temporaryFolder(t), 'spool')
  const url = await away()
  const held = open(t, { url, path, worker: 7, workers: 8 })
  assert.equal(writeShort(held.sink, 'of 7'), true)
  const second = open(t, { url: remote.url, path, worker: 1, workers: 2 })
  // By then whoever holds it has shown that he lives.
  const first = open(t, { url: remote.url, path, worker: 0, workers: 2 }, { lookAfterMs: 1500 })
  await until(() => first.lines.length > 0)
  assert.deepEqual(
    first.lines.map(({ message }) => message),
    ['another gateway has a spool of this name; each needs its own'],
  )
  assert.deepEqual(second.lines, [])
  assert.deepEqual(remote.taken(), [])
  assert.equal(held.sink.delivery?.().spoolRecords, 1)
})

test('records in a spool beside it that no sink has are told of, and not sent to whoever is there', async (t) => {
  const remote = await collector(t)
  const folder = temporaryFolder(t)
  const [path, old] = [join(folder, 'spool'), join(folder, 'old')]
  const before = open(t, { url: await away(), path: old, worker: null, workers: 1 })
  assert.equal(writeShort(before.sink, 'left'), true)
  before.sink.close()
  const stays = before.lines.find(({ message }) => message === 'records stay in the spool')
  assert.deepEqual([stays?.fields.spool, stays?.fields.spoolRecords], [old, 1])

  const after = open(t, { url: remote.url, path, worker: null, workers: 1 })
  await until(() => after.lines.length > 0)
  assert.deepEqual(
    after.lines.map(({ message, fields }) => [message, fields.spool]),
    [[STRANGE, old]],
  )
  assert.deepEqual(remote.taken(), [])
  after.sink.close()

  open(t, { url: remote.url, path: old, worker: null, workers: 1 })
  await until(() => remote.taken().length === 1)
})

test('the spool of a gateway that is down and is called as a worker of this one is not sent to whoever is there', async (t) => {
  const remote = await collector(t)
  const folder = temporaryFolder(t)
  const [path, neighbour] = [join(folder, 'logs'), join(folder, 'logs.1')]
  assert.equal(neighbour, pathOfWriter(path, 1))
  const before = open(t, { url: await away(), path: neighbour, worker: null, workers: 1 })
  assert.equal(writeShort(before.sink, 'of the neighbour'), true)
  before.sink.close()

  const alone = open(t, { url: remote.url, path, worker: null, workers: 1 })
  await until(() => alone.lines.length > 0)
  assert.deepEqual(
    alone.lines.map(({ message, fields }) => [message, fields.spool]),
    [[STRANGE, neighbour]],
  )
  alone.sink.close()
  assert.throws(() => open(t, { url: remote.url, path, worker: 1, workers: 2 }), { code: 'ERR_AUDIT_SINK' })
  assert.deepEqual(remote.taken(), [])

  const own = await collector(t)
  open(t, { url: own.url, path: neighbour, worker: null, workers: 1 })
  await until(() => own.taken().length === 1)
})

test('what a worker has left is let go of when it is sent, so that there can be such a worker again', async (t) => {
  const remote = await collector(t)
  const path = join(temporaryFolder(t), 'spool')
  const before = open(t, { url: await away(), path, worker: 2, workers: 3 })
  assert.equal(writeShort(before.sink, 'of 2'), true)
  before.sink.close()
  const { sink } = open(t, { url: remote.url, path, worker: 0, workers: 2 })
  await until(() => sink.delivery?.().delivered === 1)
  await until(() => !existsSync(join(pathOfWriter(path, 2), 'spool.lock')))
  const again = open(t, { url: remote.url, path, worker: 2, workers: 3 })
  assert.equal(writeShort(again.sink, 'of 2 again'), true)
  await until(() => remote.taken().length === 2)
  assert.deepEqual(remote.taken(), ['of 2', 'of 2 again'])
})
