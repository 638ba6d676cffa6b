import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../../../src/core/clock.ts'
import { opaEvent } from '../../../../src/gateway/record/opa-event.ts'
import { createHttpSink, type HttpSinkOptions } from '../../../../src/gateway/record/sinks/http.ts'
import { type BareSink, SinkInUseError, SinkStartError } from '../../../../src/gateway/record/sinks/sink.ts'
import { createAuthority } from '../../../support/certificates.ts'
import { type CollectorOptions, startCollector, type TestCollector } from '../../../support/collector.ts'
import { guarded, keepingLog, shortRecord, temporaryFolder, until, writeShort } from '../samples.ts'

const WRITER = fileURLToPath(new URL('./spool-process.js', import.meta.url))

const httpSink = (t: TestContext, options: Partial<HttpSinkOptions> & { readonly url: string }): BareSink => {
  const sink = createHttpSink({
    name: 'audit[0]',
    folder: join(temporaryFolder(t), 'spool'),
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
    log: keepingLog().log,
    ...options,
  })
  t.after(() => sink.close())
  return sink
}

const collector = async (t: TestContext, options: CollectorOptions = {}): Promise<TestCollector> => {
  const started = await startCollector(options)
  t.after(() => started.close())
  return started
}

/** Ids from `from` to `to`, as they are written. */
const ids = (from: number, to: number): readonly string[] =>
  Array.from({ length: to - from + 1 }, (_, index) => `r-${from + index}`)

const writeAll = (sink: BareSink, written: readonly string[]): void => {
  for (const id of written) assert.equal(writeShort(sink, id), true)
}

const unique = (list: readonly string[]): readonly string[] => [...new Set(list)]

const waiting = (sink: BareSink): number => sink.delivery?.().spoolRecords ?? -1

const spoolFiles = (folder: string): readonly string[] =>
  readdirSync(folder).filter((name) => /^\d+\.ndjson$/.test(name))

test('records go to the collector in order, each once, as lines of JSON', async (t) => {
  const remote = await collector(t)
  const sink = httpSink(t, { url: remote.url, headers: ['Authorization', 'Bearer secret'] })
  writeAll(sink, ids(1, 300))
  await until(() => waiting(sink) === 0)
  assert.deepEqual(remote.taken(), ids(1, 300))
  const [first] = remote.batches
  assert.equal(first?.path, '/in/take')
  assert.equal(first?.headers['content-type'], 'application/x-ndjson')
  assert.equal(first?.headers.authorization, 'Bearer secret')
  assert.equal(first?.headers['idempotency-key'], `"r-1/${first?.ids.length}"`)
  assert.equal(first?.text.split('\n')[0], shortRecord('r-1').line)
  assert.deepEqual(sink.delivery?.(), {
    delivered: 300,
    refused: 0,
    spoolRecords: 0,
    spoolBytes: 0,
    lastError: null,
  })
})

test('no two batches have the same key, also where records have another shape', async (t) => {
  const remote = await collector(t)
  const sink = httpSink(t, { url: remote.url, batchRecords: 2 })
  for (const id of ids(1, 6)) {
    const { record } = shortRecord(id)
    assert.equal(sink.write(JSON.stringify(opaEvent(record)), record), true)
  }
  await until(() => waiting(sink) === 0)
  const keys = remote.batches.map(({ headers }) => headers['idempotency-key'])
  assert.ok(keys.length >= 3)
  assert.deepEqual(unique(keys.map(String)), keys)
})

test('a batch may be a compressed JSON array, and has its most records and bytes', async (t) => {
  const remote = await collector(t)
  const sink = httpSink(t, { url: remote.url, format: 'json', compress: true, batchRecords: 7 })
  writeAll(sink, ids(1, 20))
  const { record } = shortRecord('x'.repeat(100_000))
  assert.equal(sink.write(JSON.stringify(record), record), true)
  await until(() => waiting(sink) === 0)
  assert.deepEqual(remote.taken(), [...ids(1, 20), 'x'.repeat(100_000)])
  assert.ok(remote.batches.every((batch) => batch.ids.length <= 7))
  assert.equal(remote.batches.at(-1)?.ids.length, 1)
})

test('a collector that is down loses nothing, and gets all in order when it is there', async (t) => {
  const before = await startCollector()
  await before.close()
  const { log, lines } = keepingLog()
  const sink = httpSink(t, { url: before.url, log })
  writeAll(sink, ids(1, 100))
  await until(() => lines.some(({ message }) => message === 'the collector takes no records'))
  assert.match(sink.delivery?.().lastError?.message ?? '', /ECONNREFUSED/)
  writeAll(sink, ids(101, 200))
  assert.equal(waiting(sink), 200)
  const remote = await collector(t, { port: before.port })
  await until(() => waiting(sink) === 0)
  assert.deepEqual(remote.taken(), ids(1, 200))
  assert.ok(lines.some(({ message }) => message === 'the collector takes records again'))
})

for (const kind of ['take, and the answer is lost', 'take, and the answer is cut'] as const) {
  test(`a batch whose acknowledgement did not arrive is sent again as it was (${kind})`, async (t) => {
    const remote = await collector(t)
    remote.behave(() => (remote.batches.length <= 2 ? { kind } : { kind: 'take' }))
    const sink = httpSink(t, { url: remote.url })
    writeAll(sink, ids(1, 50))
    await until(() => waiting(sink) === 0)
    assert.equal(remote.taken().length, 150)
    assert.deepEqual(unique(remote.taken()), ids(1, 50))
    const keys = remote.batches.map(({ headers }) => headers['idempotency-key'])
    assert.deepEqual(unique(keys.map(String)), ['"r-1/50"'])
  })
}

for (const behaviour of [
  { kind: 'answer', status: 500 },
  { kind: 'answer', status: 503, retryAfter: 3600 },
  { kind: 'answer', status: 302 },
  { kind: 'answer', status: 401 },
  { kind: 'never answer' },
] as const) {
  const what = behaviour.kind === 'answer' ? `answers ${behaviour.status}` : 'does not answer'
  test(`what a collector that ${what} was sent is sent again`, async (t) => {
    const remote = await collector(t)
    remote.behave(() => (remote.batches.length <= 2 ? behaviour : { kind: 'take' }))
    const sink = httpSink(t, { url: remote.url, timeoutMs: 100 })
    writeAll(sink, ids(1, 5))
    await until(() => waiting(sink) === 0)
    assert.deepEqual(unique(remote.taken()), ids(1, 5))
    assert.notEqual(sink.delivery?.().lastError, null)
  })
}

test('a collector that stays down fills the spool, which then takes nothing more until it is back', async (t) => {
  const before = await startCollector()
  await before.close()
  const folder = join(temporaryFolder(t), 'spool')
  const sink = httpSink(t, { url: before.url, folder, maxBytes: 8192 })
  const kept: string[] = []
  for (let count = 1; count <= 200; count += 1) {
    if (writeShort(sink, `r-${count}`) === true) kept.push(`r-${count}`)
  }
  assert.deepEqual(writeShort(sink, 'one more'), { failed: 'the spool is full' })
  assert.ok(kept.length > 20 && kept.length < 60, `${kept.length} records in 8192 bytes`)
  const onDisk = spoolFiles(folder).reduce((sum, name) => sum + readFileSync(join(folder, name)).length, 0)
  assert.ok(onDisk <= 8192)
  const remote = await collector(t, { port: before.port })
  await until(() => waiting(sink) === 0)
  assert.deepEqual(remote.taken(), kept)
  writeAll(sink, ids(201, 400).slice(0, 20))
  await until(() => remote.taken().includes('r-220'))
})

test('a full spool drops records of a sink that is not required, and counts them', async (t) => {
  const before = await startCollector()
  await before.close()
  const sink = guarded(httpSink(t, { url: before.url, maxBytes: 4096 }), { required: false })
  for (let count = 1; count <= 100; count += 1) writeShort(sink, `r-${count}`)
  const stats = sink.stats?.()
  assert.equal((stats?.written ?? 0) + (stats?.dropped ?? 0), 100)
  assert.ok((stats?.dropped ?? 0) > 50)
  assert.equal(stats?.failed, 0)
  assert.equal(stats?.spoolRecords, stats?.written)
})

test('a record that the collector refuses is set aside, and those around it arrive', async (t) => {
  const remote = await collector(t)
  const folder = join(temporaryFolder(t), 'spool')
  const sink = httpSink(t, { url: remote.url, folder })
  writeAll(sink, ids(1, 10))
  await until(() => waiting(sink) === 0)
  remote.behave((batch) => (batch.ids.includes('r-23') ? { kind: 'answer', status: 400 } : { kind: 'take' }))
  writeAll(sink, ids(11, 40))
  await until(() => waiting(sink) === 0)
  assert.deepEqual(
    remote.taken(),
    ids(1, 40).filter((id) => id !== 'r-23'),
  )
  assert.equal(sink.delivery?.().refused, 1)
  assert.equal(readFileSync(join(folder, 'refused.ndjson'), 'utf8'), `${shortRecord('r-23').line}\n`)
})

test('a collector that has never taken anything makes nothing be set aside', async (t) => {
  const remote = await collector(t)
  remote.behave(() => ({ kind: 'answer', status: 400 }))
  const sink = httpSink(t, { url: remote.url })
  writeAll(sink, ids(1, 3))
  await until(() => remote.batches.length > 6)
  assert.equal(waiting(sink), 3)
  remote.behave(() => ({ kind: 'take' }))
  await until(() => waiting(sink) === 0)
  assert.deepEqual(remote.taken(), ids(1, 3))
})

test('a restart goes on with what is in the spool, whole lines only', async (t) => {
  const before = await startCollector()
  await before.close()
  const folder = join(temporaryFolder(t), 'spool')
  const first = httpSink(t, { url: before.url, folder, maxBytes: 1 << 16 })
  writeAll(first, ids(1, 200))
  first.close()
  appendFileSync(join(folder, spoolFiles(folder).at(-1) ?? ''), '{"v":1,"id":"torn')
  const remote = await collector(t, { port: before.port })
  const second = httpSink(t, { url: remote.url, folder, maxBytes: 1 << 16 })
  writeAll(second, ids(201, 210))
  await until(() => waiting(second) === 0)
  assert.deepEqual(remote.taken(), ids(1, 210))
  assert.ok(readdirSync(folder).some((name) => name.includes('.torn-')))
})

test('what was acknowledged is not sent again after a restart, unless nobody knows any more', async (t) => {
  const remote = await collector(t)
  const folder = join(temporaryFolder(t), 'spool')
  for (const [from, to] of [
    [1, 10],
    [11, 20],
  ] as const) {
    const sink = httpSink(t, { url: remote.url, folder })
    writeAll(sink, ids(from, to))
    await until(() => waiting(sink) === 0)
    sink.close()
  }
  assert.deepEqual(remote.taken(), ids(1, 20))
  writeFileSync(join(folder, 'cursor.json'), 'no cursor')
  const sink = httpSink(t, { url: remote.url, folder })
  await until(() => waiting(sink) === 0)
  assert.deepEqual(remote.taken(), [...ids(1, 20), ...ids(1, 20)])
})

test('files that were delivered go, and a spool that is used for long stays small', async (t) => {
  const remote = await collector(t)
  const folder = join(temporaryFolder(t), 'spool')
  const sink = httpSink(t, { url: remote.url, folder, maxBytes: 16_384 })
  for (let count = 1; count <= 400; count += 1) {
    if (writeShort(sink, `r-${count}`) === true) continue
    await until(() => waiting(sink) === 0)
    writeAll(sink, [`r-${count}`])
  }
  await until(() => waiting(sink) === 0)
  assert.deepEqual(remote.taken(), ids(1, 400))
  assert.ok(spoolFiles(folder).length <= 2)
})

test('a spool that somebody else has cut or deleted is said, and does not stop what follows', async (t) => {
  const before = await startCollector()
  await before.close()
  const folder = join(temporaryFolder(t), 'spool')
  const { log, lines } = keepingLog()
  const sink = httpSink(t, { url: before.url, folder, log })
  writeAll(sink, ids(1, 10))
  truncateSync(join(folder, spoolFiles(folder)[0] ?? ''), 0)
  await until(() => lines.some(({ message }) => message === 'the spool was cut by somebody else'))
  writeAll(sink, ids(11, 20))
  for (const name of spoolFiles(folder)) rmSync(join(folder, name))
  writeAll(sink, ids(21, 30))
  const remote = await collector(t, { port: before.port })
  await until(() => waiting(sink) === 0)
  assert.deepEqual(remote.taken(), ids(11, 30))
})

test('one spool has one writer, and a folder that cannot be one is no spool', async (t) => {
  const remote = await collector(t)
  const folder = join(temporaryFolder(t), 'spool')
  const sink = httpSink(t, { url: remote.url, folder })
  assert.throws(() => httpSink(t, { url: remote.url, folder }), SinkInUseError)
  sink.close()
  assert.deepEqual(writeShort(sink, 'late'), { failed: 'it was closed' })
  httpSink(t, { url: remote.url, folder }).close()
  const file = join(temporaryFolder(t), 'file')
  writeFileSync(file, 'not a folder')
  assert.throws(() => httpSink(t, { url: remote.url, folder: file }), SinkStartError)
  assert.equal(existsSync(`${file}/spool.lock`), false)
})

test('a gateway that was stopped until another one took its spool over removes nothing of it when it goes on', async (t) => {
  const remote = await collector(t)
  const before = await startCollector()
  await before.close()
  const folder = join(temporaryFolder(t), 'spool')
  // So much that a file that was delivered would go.
  const most = 8000
  const sizes = { folder, maxBytes: 64 << 20, batchRecords: most, batchBytes: 8 << 20 }
  const first = httpSink(t, { url: remote.url, ...sizes })
  const later: BareSink[] = []
  remote.behave(() => {
    if (later.length > 0) return { kind: 'take' }
    // As it would be after the first one was stopped for longer than a holder may be silent.
    const stale = { pid: 1, started: '1', place: 'another container', token: 'of another time' }
    writeFileSync(join(folder, 'spool.lock'), `${JSON.stringify(stale)}\n`)
    const second = httpSink(t, { url: before.url, ...sizes, staleAfterMs: 0 })
    writeAll(second, ids(most + 1, most + 10))
    later.push(second)
    return { kind: 'take' }
  })
  writeAll(first, ids(1, most))
  await until(() => remote.taken().length >= most && waiting(first) === 0)
  later[0]?.close()
  const back = await collector(t)
  const third = httpSink(t, { url: back.url, ...sizes })
  await until(() => waiting(third) === 0)
  assert.deepEqual(unique([...remote.taken(), ...back.taken()]), ids(1, most + 10))
  assert.deepEqual(writeShort(first, 'late'), { failed: 'another gateway has taken the spool over' })
})

test('flushing sends what would have waited, and does not wait for a collector that is away', async (t) => {
  const remote = await collector(t)
  const sink = httpSink(t, { url: remote.url, batchDelayMs: 60_000 })
  writeAll(sink, ids(1, 3))
  await sink.flush?.(AbortSignal.timeout(10_000))
  assert.deepEqual(remote.taken(), ids(1, 3))
  await remote.close()
  writeAll(sink, ids(4, 5))
  await sink.flush?.(AbortSignal.timeout(10_000))
  assert.equal(waiting(sink), 2)
})

test('a collector whose certificate is from another authority, or for another name, gets nothing', async (t) => {
  const authority = createAuthority()
  const certificate = authority.issue({ commonName: 'collector', names: ['collector.test'] })
  const remote = await collector(t, { tls: certificate })
  const ca = Buffer.from(authority.cert)
  for (const wrong of [
    { ca: null, serverName: 'collector.test' },
    { ca, serverName: null },
  ]) {
    const sink = httpSink(t, { url: remote.url, ...wrong })
    writeAll(sink, ids(1, 2))
    await until(() => sink.delivery?.().lastError !== null)
    assert.match(sink.delivery?.().lastError?.message ?? '', /not reached: (ERR_TLS|UNABLE|SELF)/)
    sink.close()
  }
  assert.deepEqual(remote.batches, [])
  const sink = httpSink(t, { url: remote.url, ca, serverName: 'collector.test' })
  writeAll(sink, ids(3, 4))
  await until(() => waiting(sink) === 0)
  assert.deepEqual(remote.taken(), ids(3, 4))
})

test('a collector that asks for a certificate takes records from who shows one', async (t) => {
  const authority = createAuthority()
  const tls = authority.issue({ commonName: 'collector', names: ['collector.test'] })
  const remote = await collector(t, { tls, clientCa: authority.cert })
  const trust = { ca: Buffer.from(authority.cert), serverName: 'collector.test' }
  const nobody = httpSink(t, { url: remote.url, ...trust })
  writeAll(nobody, ids(1, 2))
  await until(() => nobody.delivery?.().lastError !== null)
  assert.deepEqual(remote.batches, [])
  const own = authority.issue({ commonName: 'gateway' })
  const client = { cert: Buffer.from(own.cert), key: Buffer.from(own.key) }
  const sink = httpSink(t, { url: remote.url, ...trust, client })
  writeAll(sink, ids(3, 4))
  await until(() => waiting(sink) === 0)
  assert.deepEqual(remote.taken(), ids(3, 4))
})

/** A process that writes until it is killed, with the ids that it said were kept. */
const startWriter = (t: TestContext, url: string, folder: string) => {
  const child: ChildProcess = spawn(process.execPath, [WRITER, url, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const kept: string[] = []
  if (child.stdout === null) throw new Error('its output is piped')
  createInterface({ input: child.stdout }).on('line', (line) => kept.push(line))
  const killed = (): Promise<void> =>
    new Promise((resolve) => {
      child.once('close', () => resolve())
      child.kill('SIGKILL')
    })
  return { kept, killed }
}

test('killed again and again while it sends, it loses no record that was kept', async (t) => {
  const remote = await collector(t)
  remote.behave(() =>
    remote.batches.length % 3 === 0 ? { kind: 'take, and the answer is lost' } : { kind: 'take' },
  )
  const folder = join(temporaryFolder(t), 'spool')
  const kept: string[] = []
  for (let run = 0; run < 4; run += 1) {
    const writer = startWriter(t, remote.url, folder)
    const target = remote.taken().length + 50
    await until(() => writer.kept.length > 100 && remote.taken().length > target)
    await writer.killed()
    kept.push(...writer.kept)
  }
  const sink = httpSink(t, { url: remote.url, folder, maxBytes: 64 << 20 })
  await until(() => waiting(sink) === 0)
  const taken = new Set(remote.taken())
  assert.deepEqual(
    kept.filter((id) => !taken.has(id)),
    [],
  )
})
