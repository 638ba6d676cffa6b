import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createStdoutSink } from '../../../../src/gateway/record/sinks/stdout.ts'
import { shortRecord, temporaryFolder, until, writeShort } from '../samples.ts'

const WRITER = fileURLToPath(new URL('./stdout-process.js', import.meta.url))

/** A process whose standard output is not read before `read` is called. */
const startWriter = (t: TestContext, count: number) => {
  const child = spawn(process.execPath, [WRITER, String(count)], { stdio: ['pipe', 'pipe', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  const outcomes: string[] = []
  createInterface({ input: child.stderr }).on('line', (line) => outcomes.push(line))
  const text: string[] = []
  return {
    outcomes,
    read: () => child.stdout.on('data', (chunk: Buffer) => text.push(chunk.toString('utf8'))),
    lines: () => text.join('').split('\n').slice(0, -1),
    finish: () => child.stdin.end(),
  }
}

test('each record is one line of standard output, and nothing else is there', async (t) => {
  const writer = startWriter(t, 3)
  writer.read()
  await until(() => writer.lines().length === 3)
  assert.deepEqual(
    writer.lines(),
    ['r-1', 'r-2', 'r-3'].map((id) => shortRecord(id).line),
  )
})

test('a reader that stops makes records fail, not the gateway hang; once it reads, all goes on', async (t) => {
  const writer = startWriter(t, 5000)
  await until(() => writer.outcomes.length === 5000)
  const written = writer.outcomes.filter((line) => line.endsWith(' written'))
  assert.ok(written.length > 10 && written.length < 4990)
  assert.equal(writer.outcomes.at(-1), 'r-5000 nobody reads standard output')
  writer.read()
  await until(() => writer.lines().length >= written.length)
  writer.finish()
  await until(() => writer.outcomes.at(-1) === 'last written')
  const whole = writer.lines().flatMap((line) => {
    try {
      return [`${JSON.parse(line).id} written`]
    } catch {
      return []
    }
  })
  assert.deepEqual(whole, [...written, 'last written'])
})

test('what the system does not take is said', (t) => {
  const path = join(temporaryFolder(t), 'output')
  const fd = openSync(path, 'w')
  const sink = createStdoutSink('audit[0]', fd)
  assert.equal(writeShort(sink, 'a'), true)
  closeSync(fd)
  assert.deepEqual(writeShort(sink, 'b'), { failed: 'EBADF' })
  assert.equal(readFileSync(path, 'utf8'), `${shortRecord('a').line}\n`)
})
