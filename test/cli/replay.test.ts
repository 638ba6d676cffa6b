import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { addReplay } from '../../src/cli/replay.ts'
import { randomUuidV7 } from '../../src/core/uuid.ts'
import { ENV, SOUND } from '../config/world.ts'
import { type Ran, runCommand } from '../support/command.ts'
import { layOut } from '../support/gateway.ts'

type Json = Readonly<Record<string, unknown>>

const NOW = Date.parse('2026-11-24T10:00:00Z')

/** A record of somebody who has read an account. */
const record = (more: Json = {}, path = '/accounts/1', method = 'GET') => {
  const id = randomUuidV7(NOW)
  return {
    v: 1,
    id,
    time: new Date(NOW).toISOString(),
    decision: 'allow',
    code: 'allowed',
    source: 'engine',
    subject: { type: 'User', id: 'bob' },
    credential: { type: 'jwt', authenticator: 'staff', id: 'token' },
    action: { name: 'read' },
    resource: { type: 'Account', id: path.slice('/accounts/'.length) },
    context: {},
    route: 'read-account',
    engine: 'bank',
    reasons: ['owner-read'],
    inputs: { 'path.id': '1' },
    request: { id, method, host: 'bank.example.com', path, ip: '127.0.0.1' },
    latencyUs: {},
    ...more,
  }
}

const NOBODY = { subject: undefined, credential: undefined, action: undefined, resource: undefined }

const same = record()
const reasons = record({ reasons: ['other'] })
const denied = record({ decision: 'deny', code: 'denied', reasons: [] })
const otherQuestion = record({ action: { name: 'write' } })
const gone = record({ route: 'gone' }, '/gone/1')
const neverThere = record(
  { ...NOBODY, decision: 'deny', code: 'no_route', source: 'accept', route: undefined },
  '/x',
)
const flood = { ...neverThere, id: randomUuidV7(NOW), count: 40, since: new Date(NOW).toISOString() }
const outage = record({ decision: 'deny', code: 'engine_unavailable', source: 'decide' })
const redacted = record({ subject: { type: 'User', id: `hmac-sha256:${'0'.repeat(64)}` } })
const nobody = record({ ...NOBODY, decision: 'deny', code: 'unauthenticated', source: 'authenticate' })
const second = {
  ...record(),
  follows: same.id,
  decision: 'deny',
  code: 'upstream_unavailable',
  source: 'enforce',
}
const head = { v: 1, head: { seq: 1, hash: 'sha256:0' } }

const LINES: readonly unknown[] = [same, reasons, denied, otherQuestion, gone]
const LATER: readonly unknown[] = [neverThere, flood, outage, redacted, nobody, second, head]

const text = (lines: readonly unknown[]): string => lines.map((line) => `${JSON.stringify(line)}\n`).join('')

describe('sallyport replay', () => {
  let directory: string
  before(() => {
    directory = layOut({
      ...(SOUND as Readonly<Record<string, string>>),
      'log/decisions.ndjson': `${text(LATER)}{"v":1,"id":"tor`,
    })
    const part = join(directory, 'log/decisions.2026-11-24T10-00-00Z.1.ndjson.gz')
    writeFileSync(part, gzipSync(text(LINES)))
  })
  after(() => rmSync(directory, { recursive: true, force: true }))

  const run = (...args: readonly string[]): Promise<Ran> => {
    const log = join(directory, 'log/decisions.ndjson')
    return runCommand(addReplay, ['replay', log, '--config', join(directory, 'sallyport.yaml'), ...args], {
      env: ENV,
    })
  }

  test('lists every decision once, by its id, over the parts of a log, compressed ones too', async () => {
    const { status, stdout, stderr } = await run('--json')
    assert.deepEqual({ status, stderr }, { status: 0, stderr: '' })
    const { newlyAllowed, newlyDenied, unmapped, changed, unchanged, undecidable, ...rest } =
      JSON.parse(stdout)
    assert.deepEqual(
      { newlyAllowed, newlyDenied, unmapped, changed, unchanged, undecidable },
      {
        newlyAllowed: [denied.id],
        newlyDenied: [],
        unmapped: [gone.id, neverThere.id, flood.id],
        changed: [otherQuestion.id],
        unchanged: [same.id, reasons.id],
        undecidable: [outage.id, redacted.id, nobody.id],
      },
    )
    assert.equal(rest.records, 10 + 39)
    assert.deepEqual(rest.counts.unmapped, 42)
    assert.deepEqual([rest.newlyUnmapped, rest.otherReasons], [1, 1])
    assert.deepEqual(rest.skipped, { illegible: 1, follows: 1, 'not-a-request': 1 })
    assert.deepEqual(rest.groups.newlyAllowed.route, [
      { name: 'read-account', count: 1, examples: [denied.id] },
    ])
    assert.deepEqual(rest.groups.newlyAllowed.subject, [
      { name: 'User::bob', count: 1, examples: [denied.id] },
    ])
    assert.deepEqual(rest.groups.newlyAllowed.policy, [
      { name: 'owner-read', count: 1, examples: [denied.id] },
    ])
  })

  test('says why something is undecidable', async () => {
    const { stdout } = await run()
    assert.match(stdout, /it ended with engine_unavailable/)
    assert.match(stdout, /the subject: redacted/)
    assert.match(stdout, /who it was is not recorded/)
  })

  test('writes Markdown in which no name is markup', async () => {
    const { stdout } = await run('--markdown')
    assert.match(stdout, /\| \*\*newly allowed\*\* \| 1 \|/)
    assert.match(stdout, /\| `User::bob` \| 1 \|/)
  })

  test('exits 1 for a change only when it is asked to, and not for what never had a route', async () => {
    assert.equal((await run()).status, 0)
    assert.equal((await run('--fail-on-change')).status, 1)
    const quiet = join(directory, 'quiet.ndjson')
    writeFileSync(quiet, text([same, reasons, neverThere]))
    const config = ['--config', join(directory, 'sallyport.yaml')]
    const { status } = await runCommand(addReplay, ['replay', quiet, ...config, '--fail-on-change'], {
      env: ENV,
    })
    assert.equal(status, 0)
  })

  test('exits 2 when the draft is wrong or a log is not there', async () => {
    assert.equal((await run(join(directory, 'no-such.ndjson'))).status, 2)
    writeFileSync(join(directory, 'bad.yaml'), 'version: 2\n')
    const { status, stderr } = await run('--config', join(directory, 'bad.yaml'))
    assert.equal(status, 2)
    assert.match(stderr, /bad\.yaml:\d+:\d+: error/)
  })

  test('finds the same in several threads, of a log that is long enough for them', async () => {
    const long = join(directory, 'long.ndjson')
    const times = 1200
    writeFileSync(long, text([...LINES, ...LATER.slice(0, 5)]).repeat(times))
    assert.ok(readFileSync(long).length > 4 * 1024 * 1024)
    const config = ['--config', join(directory, 'sallyport.yaml'), '--json']
    const ran = await runCommand(addReplay, ['replay', long, ...config, '--threads', '2'], { env: ENV })
    const found = JSON.parse(ran.stdout)
    assert.equal(found.newlyAllowed.length, times)
    assert.equal(found.unchanged.length, 2 * times)
    assert.equal(found.records, (10 + 39) * times)
    assert.deepEqual(found.groups.changed.route[0].count, times)
  })
})
