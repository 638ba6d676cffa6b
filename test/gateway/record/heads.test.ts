import assert from 'node:assert/strict'
import { join } from 'node:path'
import { mock, test } from 'node:test'
import { createHeads, type Head } from '../../../src/gateway/record/heads.ts'
import { fileSink, fixedClock, keepingLog, temporaryFolder, writeShort } from './samples.ts'

const signer = { sign: (payload: object) => `signed ${JSON.stringify(payload)}` }

test('heads go to the log every so many records, every so often when there is news, and at the end', (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.after(() => mock.timers.reset())
  const sink = fileSink(join(temporaryFolder(t), 'log.ndjson'))
  const { log, lines } = keepingLog()
  const heads = createHeads({
    sinks: [sink],
    signer,
    log,
    clock: fixedClock,
    everyRecords: 3,
    everyMs: 60_000,
  })
  const seqs = () => lines.map(({ fields }) => (fields.auditHead as Head).seq)
  const write = (count: number) => {
    for (let index = 0; index < count; index += 1) {
      assert.equal(writeShort(sink, `${index}`), true)
      heads.recorded()
    }
  }
  mock.timers.tick(60_000)
  assert.deepEqual(seqs(), [], 'nothing was written yet')
  write(7)
  assert.deepEqual(seqs(), [3, 6])
  mock.timers.tick(60_000)
  mock.timers.tick(60_000)
  assert.deepEqual(seqs(), [3, 6, 7])
  write(1)
  heads.close()
  mock.timers.tick(60_000)
  assert.deepEqual(seqs(), [3, 6, 7, 8])
  sink.close()
})

test('a head says which chain it is of and is signed over exactly that', (t) => {
  const sink = fileSink(join(temporaryFolder(t), 'log.ndjson'))
  writeShort(sink, 'a')
  const { log } = keepingLog()
  const heads = createHeads({ sinks: [sink], signer, log, clock: fixedClock })
  const [end] = sink.heads?.() ?? []
  const head = {
    file: 'log.ndjson',
    writer: 'gw-1.0',
    seq: 1,
    hash: end?.hash,
    time: '2026-11-23T22:10:00.123Z',
  }
  assert.deepEqual(heads.currentHeads(), [{ ...head, jws: `signed ${JSON.stringify(head)}` }])
  heads.close()
  sink.close()
})
