import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { parse } from 'yaml'
import { shortRecord } from '../gateway/record/samples.ts'
import { repositoryRoot } from './source-files.ts'

/** A team's repository: what is shipped, as its own. */
const teamRepository = (t: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-team-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  for (const part of ['config', 'policies', 'package.json'])
    cpSync(join(repositoryRoot, part), join(folder, part), { recursive: true })
  symlinkSync(join(repositoryRoot, 'bin'), join(folder, 'bin'))
  mkdirSync(join(folder, 'log'))
  writeFileSync(join(folder, 'log/sample.ndjson'), `${shortRecord('an-earlier-one').line}\n`)
  return folder
}

const run = (folder: string, command: string, env: Readonly<Record<string, string>> = {}) =>
  spawnSync('sh', ['-c', command], {
    cwd: folder,
    encoding: 'utf8',
    timeout: 120_000,
    env: { ...process.env, ...env },
  })

describe("the files for a team's own workflow", () => {
  test('have commands for GitHub Actions that go as they are written', (t) => {
    const folder = teamRepository(t)
    const workflow = parse(readFileSync(join(repositoryRoot, 'docs/ci/github-actions.yml'), 'utf8'))
    const steps = workflow.jobs.review.steps as readonly { readonly run?: string }[]
    const commands = steps.flatMap(({ run: command }) =>
      command?.startsWith('./bin/sallyport') ? [command] : [],
    )
    assert.equal(commands.length, 3)
    for (const command of commands) {
      const { status, stderr } = run(folder, command)
      assert.equal(status, 0, `${command}: ${stderr}`)
    }
    assert.match(readFileSync(join(folder, 'decision-tests.xml'), 'utf8'), /<testsuites? /)
    assert.match(readFileSync(join(folder, 'replay.md'), 'utf8'), /^### What this edit would change/)
  })

  test('have a hook that lets a good commit pass and stops a bad one', (t) => {
    const folder = teamRepository(t)
    const git = (...args: readonly string[]) =>
      execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t.test', ...args], { cwd: folder })
    git('init', '-q')
    const hook = join(folder, '.git/hooks/pre-commit')
    cpSync(join(repositoryRoot, 'docs/ci/pre-commit'), hook)
    git('add', 'config', 'policies')
    const good = run(folder, hook, { SALLYPORT_LOG: 'log/sample.ndjson' })
    assert.equal(good.status, 0, good.stderr)
    assert.match(good.stdout, /1 decision/)
    const map = join(folder, 'config/sallyport.yaml')
    writeFileSync(map, readFileSync(map, 'utf8').replace('version: 1', 'version: 1\nlisteneers: []'))
    git('add', 'config')
    const bad = run(folder, hook)
    assert.equal(bad.status, 2)
    assert.match(`${bad.stdout}${bad.stderr}`, /sallyport\.yaml:\d+:\d+: .*listeneers/)
  })
})
