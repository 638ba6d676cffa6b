import { writeSync } from 'node:fs'
import { fileSink, shortRecord, writeShort } from '../samples.ts'

// A process of its own for tests: `forever <path>` prints the id of each record after it was written;
// `lengths <path> <n>…` writes records with so many more bytes and prints what became of each.
const [, , mode = '', path = '', ...lengths] = process.argv
const sink = fileSink(path)
if (mode === 'forever') {
  for (let count = 0; ; count += 1) {
    const id = `${process.pid}-${count}`
    if (writeShort(sink, id) !== true) throw new Error('not written')
    writeSync(1, `${id}\n`)
  }
}
for (const length of lengths) {
  const { record } = shortRecord('x'.repeat(Number(length)))
  const result = sink.write(JSON.stringify(record), record)
  writeSync(1, `${result === true ? 'written' : result.failed}\n`)
}
