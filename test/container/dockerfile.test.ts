import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { validate } from 'dockerfile-utils'
import { repositoryRoot } from '../house/source-files.ts'
import { execForm, lastStep, readIgnore, readStages } from './dockerfile.ts'
import { findDockerfileFaults } from './dockerfile-faults.ts'

const dockerfile = readFileSync(join(repositoryRoot, 'Dockerfile'), 'utf8')
const { findTool } = await import(pathToFileURL(join(repositoryRoot, 'scripts', 'tools.mjs')).href)
const hadolint: string | null = findTool('hadolint')

describe('the Dockerfile', () => {
  test('has no mistake that dockerfile-utils knows', () => {
    assert.deepEqual(validate(dockerfile), [])
    assert.notDeepEqual(validate('FROM node:24\nCOPPY a b\n'), [])
  })

  test('has no finding of hadolint', {
    skip: hadolint === null ? 'hadolint is not installed' : false,
  }, () => {
    const { status, stdout, stderr } = spawnSync(hadolint ?? '', ['--no-color', '-'], {
      input: dockerfile,
      encoding: 'utf8',
    })
    assert.deepEqual({ status, stdout, stderr }, { status: 0, stdout: '', stderr: '' })
  })

  test('makes an image without shell, root, or anything that is missing or more than is needed', () => {
    assert.deepEqual(findDockerfileFaults(dockerfile), [])
  })

  test('builds and runs with the same major version of Node, which package.json allows', () => {
    const majors = readStages(dockerfile).map(({ base }) => /node(?:js|:)(\d+)/.exec(base)?.[1])
    assert.equal(new Set(majors).size, 1)
    assert.ok(Number(majors[0]) >= 20)
  })

  test('starts the command that serves, and checks health with one that exists', () => {
    const last = readStages(dockerfile).at(-1)
    assert.ok(last !== undefined)
    const words = (keyword: string) => execForm(lastStep(last, keyword)?.args ?? '')
    const program = words('ENTRYPOINT')
    assert.deepEqual(words('CMD').slice(0, 2), ['serve', '--config'])
    assert.deepEqual(words('HEALTHCHECK'), [...program, 'health'])
  })
})

describe('the check of the Dockerfile', () => {
  const planted: Readonly<Record<string, readonly [string | RegExp, string, string]>> = {
    'a base that moves': ['node:24.21.0-bookworm-slim', 'node:latest', 'node:latest has no tag that stays'],
    'a base without a tag': ['node:24.21.0-bookworm-slim', 'node', 'node has no tag that stays'],
    'a shell': [
      'gcr.io/distroless/nodejs24-debian12:nonroot',
      'node:24.21.0-bookworm-slim',
      'node:24.21.0-bookworm-slim has a shell',
    ],
    'a user by name': ['USER 65532:65532', 'USER nonroot', 'USER is not the number of an unprivileged user'],
    'the group of root': [
      'USER 65532:65532',
      'USER 65532:0',
      'USER is not the number of an unprivileged user',
    ],
    'root, because nobody said otherwise': [
      'USER 65532:65532\n',
      '',
      'USER is not the number of an unprivileged user',
    ],
    'a command for a shell': [/^CMD .*$/m, 'CMD node /app/bin/sallyport serve', 'CMD needs a shell'],
    'no health check': [/^HEALTHCHECK .*\n.*\n/m, '', 'HEALTHCHECK is missing'],
    'another signal': ['STOPSIGNAL SIGTERM', 'STOPSIGNAL SIGKILL', 'STOPSIGNAL is not SIGTERM'],
    'all of the context': ['COPY src/ src/', 'COPY . .', 'COPY . . copies more than is named'],
    'a download': [
      'COPY src/ src/',
      'ADD https://example.com/x /x',
      'ADD https://example.com/x /x: COPY is meant',
    ],
    'files that the user owns': [
      'COPY --from=build /app/dist/',
      'COPY --from=build --chown=65532:65532 /app/dist/',
      'COPY /app/dist/ /app/dist/ gives files away',
    ],
    'packages for development': ['ENV NODE_ENV=production\n', '', 'NODE_ENV is not production'],
    'a command in the last stage': ['EXPOSE 8080', 'RUN true', 'RUN needs a shell'],
  }
  for (const [name, [from, to, fault]] of Object.entries(planted)) {
    test(`finds ${name}`, () => {
      const changed = dockerfile.replace(from, to)
      assert.notEqual(changed, dockerfile)
      assert.deepEqual(findDockerfileFaults(changed), [fault])
    })
  }

  test('finds a build that is part of the image', () => {
    const [, last = ''] = dockerfile.split(/^(?=FROM gcr)/m)
    assert.deepEqual(findDockerfileFaults(last), ['what builds is part of the image'])
  })
})

describe('the reading of .dockerignore', () => {
  const cases: Readonly<Record<string, readonly [string, string, boolean]>> = {
    'everything but what is named: named': ['*\n!src', 'src', false],
    'everything but what is named: below what is named': ['*\n!src', 'src/core/clock.ts', false],
    'everything but what is named: another': ['*\n!src', 'config/secrets/admin-token', true],
    'the last pattern decides': ['*\n!src\nsrc/demo', 'src/demo/bank.ts', true],
    'a name that only starts alike': ['*\n!src', 'srcs', true],
    'comments and empty lines': ['# *\n\nlog', 'src', false],
    'a pattern over folders': ['**/*.md', 'docs/adr/one.md', true],
  }
  for (const [name, [text, path, ignored]] of Object.entries(cases)) {
    test(name, () => assert.equal(readIgnore(text)(path), ignored))
  }
})
