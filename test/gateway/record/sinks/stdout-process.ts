import { writeSync } from 'node:fs'
import { createStdoutSink } from '../../../../src/gateway/record/sinks/stdout.ts'
import { writeShort } from '../samples.ts'

// A process of its own for tests: writes <count> records to its standard output, and says on standard error what
// became of each; then waits for its input to end, and writes one more.
const [, , count = ''] = process.argv
const sink = createStdoutSink('audit[0]', process.stdout.fd)
const writeOne = (id: string): void => {
  const result = writeShort(sink, id)
  writeSync(2, `${id} ${result === true ? 'written' : result.failed}\n`)
}
for (let index = 1; index <= Number(count); index += 1) writeOne(`r-${index}`)
process.stdin.on('end', () => writeOne('last')).resume()
