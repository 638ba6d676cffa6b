import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { mock, test } from 'node:test'
import { lockFile } from '../../../../src/gateway/record/sinks/file-lock.ts'
import { temporaryFolder } from '../samples.ts'

const ELSEWHERE = JSON.stringify({ pid: 1, started: '1', place: 'another machine', token: 'x' })

test('a lock is taken over at once from a process that is gone, also when its number is used again', (t) => {
  const path = join(temporaryFolder(t), 'log')
  const lock = lockFile(path)
  const holder = JSON.parse(readFileSync(`${path}.lock`, 'utf8'))
  lock.release()
  for (const dead of [{ pid: 2 ** 22 + 1 }, { started: '1' }]) {
    writeFileSync(`${path}.lock`, JSON.stringify({ ...holder, ...dead }))
    lockFile(path, { staleAfterMs: 3_600_000 }).release()
  }
})

for (const [what, content] of Object.entries({
  'another machine': ELSEWHERE,
  'nobody that can be read': 'x',
})) {
  test(`a lock of ${what} is taken over when it gave no sign of life`, (t) => {
    const folder = temporaryFolder(t)
    const path = join(folder, 'log')
    writeFileSync(`${path}.lock`, content)
    const lock = lockFile(path, { staleAfterMs: 40 })
    assert.deepEqual(readdirSync(folder), ['log.lock'])
    lock.release()
    assert.ok(!existsSync(`${path}.lock`))
  })
}

test('a lock of another machine is respected while it gives signs of life', async (t) => {
  const path = join(temporaryFolder(t), 'log')
  writeFileSync(`${path}.lock`, ELSEWHERE)
  const script = `setInterval(() => { const now = new Date(); fs.utimesSync(process.argv[1], now, now); process.stdout.write('.') }, 5)`
  const beating = spawn(process.execPath, ['-e', script, `${path}.lock`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(() => beating.kill())
  await once(beating.stdout, 'data')
  assert.throws(() => lockFile(path, { staleAfterMs: 3_600_000 }), { code: 'ERR_AUDIT_SINK_IN_USE' })
})

test('a holder notices that its lock was taken over, and leaves the new one alone', (t) => {
  mock.timers.enable({ apis: ['setInterval'] })
  t.after(() => mock.timers.reset())
  const path = join(temporaryFolder(t), 'log')
  const lock = lockFile(path, { heartbeatMs: 10 })
  rmSync(`${path}.lock`)
  mock.timers.tick(10)
  assert.ok(lock.isHeld() && existsSync(`${path}.lock`), 'one that was only deleted is made again')
  writeFileSync(`${path}.lock`, ELSEWHERE)
  mock.timers.tick(10)
  assert.ok(!lock.isHeld())
  lock.release()
  assert.equal(readFileSync(`${path}.lock`, 'utf8'), ELSEWHERE)
})

test('a holder that was stopped knows at once, before its timers run, that somebody else has the lock', (t) => {
  const path = join(temporaryFolder(t), 'log')
  const lock = lockFile(path, { heartbeatMs: 20 })
  t.after(lock.release)
  assert.ok(lock.isHeld())
  writeFileSync(`${path}.lock`, '{"pid":1,"started":"1","place":"another container","token":"t"}\n')
  // Nothing else runs meanwhile.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 60)
  assert.ok(!lock.isHeld())
})
