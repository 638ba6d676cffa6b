import { writeSync } from 'node:fs'
import { fileSink, shortRecord, writeShort } from '../samples.ts'

// A process of its own for tests: `forever <path>` prints the id of each record after it was written, `rotating <path>`
// does so in a log that is rotated every few records;
// `lengths <path> <n>…` writes records with so many more bytes and prints what became of each.
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
for (const length of lengths) {
  const { record } = shortRecord('x'.repeat(Number(length)))
  const result = sink.write(JSON.stringify(record), record)
  writeSync(1, `${result === true ? 'written' : result.failed}\n`)
}
