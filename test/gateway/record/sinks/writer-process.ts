import { writeSync } from 'node:fs'
import type { SinkFailure } from '../../../../src/gateway/record/sinks/sink.ts'
import { fileSink, shortRecord, writeShort } from '../samples.ts'

// A process of its own for tests: `forever <path>` prints the id of each record after it was written, `rotating <path>`
// does so in a log that is rotated every few records;
// `lengths <path> <n>…` writes records with so many more bytes and prints what became of each; `held <path> <n>…` writes
// two of them, holds the others together, and then writes one that is short.
const [, , mode = '', path = '', ...lengths] = process.argv
const sink = fileSink(path, mode === 'rotating' ? { rotate: { size: 4096, compress: 'gzip' } } : {})
let count = 0
const writeOne = (): void => {
  const id = `${process.pid}-${count++}`
  if (writeShort(sink, id) !== true) throw new Error('not written')
  writeSync(1, `${id}\n`)
}
if (mode === 'forever') for (;;) writeOne()
// Compression goes on between the records.
if (mode === 'rotating') setInterval(() => Array.from({ length: 50 }, writeOne), 1)
const say = (result: true | SinkFailure, written = 'written'): void => {
  writeSync(1, `${result === true ? written : result.failed}\n`)
}
for (const [index, length] of lengths.entries()) {
  const { record } = shortRecord('x'.repeat(Number(length)))
  const line = JSON.stringify(record)
  if (mode === 'held' && index >= 2) sink.batch?.hold(line, record, say)
  else say(sink.write(line, record))
}
if (mode === 'held') {
  sink.batch?.commit()
  say(writeShort(sink, 'short'), 'written after all')
}
