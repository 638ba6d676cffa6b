import { writeSync } from 'node:fs'
import { systemClock } from '../../../../src/core/clock.ts'
import { createHttpSink } from '../../../../src/gateway/record/sinks/http.ts'
import { keepingLog, writeShort } from '../samples.ts'

// A process of its own for tests: sends records to <url> by way of the spool <folder>, for ever, and prints the id of
// each after it was kept.
const [, , url = '', folder = ''] = process.argv
const sink = createHttpSink({
  name: 'audit[0]',
  url,
  folder,
  maxBytes: 64 << 20,
  fsync: false,
  format: 'ndjson',
  compress: false,
  headers: [],
  ca: null,
  serverName: null,
  timeoutMs: 10_000,
  batchRecords: 50,
  batchBytes: 1 << 16,
  batchDelayMs: 1,
  maxRetryDelayMs: 20,
  clock: systemClock,
  log: keepingLog().log,
})
let count = 0
setInterval(() => {
  for (let index = 0; index < 20; index += 1) {
    const id = `${process.pid}-${count++}`
    if (writeShort(sink, id) !== true) throw new Error('not kept')
    writeSync(1, `${id}\n`)
  }
}, 1)
