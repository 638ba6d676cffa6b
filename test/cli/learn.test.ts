import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { parse } from 'yaml'
import { addCheck } from '../../src/cli/check.ts'
import { addLearn } from '../../src/cli/learn.ts'
import { ENV, SOUND } from '../config/world.ts'
import { runCommand } from '../support/command.ts'
import { layOut } from '../support/gateway.ts'

const line = (request: string, status = 200): string =>
  `192.0.2.7 - - [24/Nov/2026:10:00:00 +0000] "${request}" ${status} 12 "-" "curl/8"\n`

describe('sallyport learn', () => {
  let directory: string
  before(() => {
    directory = layOut(SOUND as Readonly<Record<string, string>>)
  })
  after(() => rmSync(directory, { recursive: true, force: true }))

  const learn = async (log: string, ...args: readonly string[]) => {
    writeFileSync(join(directory, 'a.log'), log)
    return runCommand(addLearn, ['learn', join(directory, 'a.log'), ...args])
  }

  const matches = (map: string): readonly string[] =>
    parse(map).routes.map(({ match }: { match: string }) => match)

  test('makes a map of an access log that check accepts', async () => {
    const log = [
      line('GET /accounts/1?x=1 HTTP/1.1'),
      line('GET /accounts/22 HTTP/1.1'),
      line('HEAD /accounts/22 HTTP/1.1'),
      line('POST /accounts/22/transfers HTTP/1.1', 201),
      line('GET /users/0193aaaa-0000-7000-8000-000000000001 HTTP/1.1'),
      line('GET /.env HTTP/1.1', 404),
      line('GET /../etc/passwd HTTP/1.1'),
      'garbage\n',
    ].join('')
    const { stdout } = await learn(log, '--upstream', 'core', '--engine', 'bank')
    assert.deepEqual(matches(stdout), [
      'GET /accounts/{accountId}',
      'POST /accounts/{accountId}/transfers',
      'GET /users/{userId}',
    ])
    writeFileSync(join(directory, 'routes/bank.yaml'), stdout)
    const args = ['check', '--json', '--config', join(directory, 'sallyport.yaml')]
    const { findings } = JSON.parse((await runCommand(addCheck, args, { env: ENV })).stdout)
    assert.deepEqual(
      findings.filter(({ severity }: { severity: string }) => severity === 'error'),
      [],
    )
  })

  test('takes many names at one place for values, and reads decision logs', async () => {
    const names = Array.from(
      { length: 30 },
      (_, index) => `name${'abcdefghij'[index % 10]}${'xyz'[index % 3]}`,
    )
    const record = (path: string): string =>
      `${JSON.stringify({ v: 1, code: 'denied', request: { method: 'GET', host: 'app.example', path } })}\n`
    const { stdout } = await learn([...names, ...names].map((name) => record(`/people/${name}`)).join(''))
    assert.deepEqual(
      matches(stdout),
      ['GET /people/{personId}'].map((text) => text.replace('person', 'people')),
    )
    assert.equal(parse(stdout).defaults.host, 'app.example')
  })

  test('exits 1 when nothing was seen, and 2 for a log that is not there', async () => {
    assert.equal((await learn('')).status, 1)
    assert.equal((await runCommand(addLearn, ['learn', join(directory, 'none.log')])).status, 2)
  })
})
