import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { repositoryRoot } from './source-files.ts'

interface Block {
  readonly language: string
  /** The file that it is, or what it is run as. */
  readonly name: string
  readonly text: string
}

const blocksOf = (markdown: string): readonly Block[] =>
  [...markdown.matchAll(/^```(\w+) ?(\S*)\n([\s\S]*?)^```$/gm)].map(
    ([, language = '', name = '', text = '']) => ({
      language,
      name,
      text,
    }),
  )

const freePorts = async (count: number): Promise<readonly number[]> => {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, '127.0.0.1', () => resolve(Object(server.address()).port))
        }),
    ),
  )
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return ports
}

const inFolder = async (use: (folder: string) => Promise<void>): Promise<void> => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-tour-'))
  try {
    await use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** One script of the whole tour, which writes each file when its turn comes. */
const scriptOf = (blocks: readonly Block[], folder: string, patience: string): string =>
  blocks
    .map(({ language, name, text }, index) => {
      if (language !== 'sh') {
        const kept = join(folder, `.block-${index}`)
        writeFileSync(kept, text)
        return `mkdir -p "$(dirname ${name})" && cp ${kept} ${name}`
      }
      // Readers see it listen; a script has to look.
      return name === 'serve' ? `${text}\n${patience}` : text
    })
    .join('\n')

test('the tour goes as it is written', async () => {
  await inFolder(async (folder) => {
    const bin = join(folder, 'bin', 'sallyport')
    mkdirSync(dirname(bin))
    writeFileSync(
      bin,
      `#!/bin/sh\nexec "${process.execPath}" "${join(repositoryRoot, 'bin', 'sallyport')}" "$@"\n`,
    )
    chmodSync(bin, 0o755)
    const [gateway = 0, application = 0] = await freePorts(2)
    const tour = readFileSync(join(repositoryRoot, 'docs', 'tour.md'), 'utf8')
      .replaceAll('8080', String(gateway))
      .replaceAll('9000', String(application))
    const blocks = blocksOf(tour)
    assert.ok(blocks.length > 15, `${blocks.length} blocks`)
    const patience = [gateway, application]
      .map(
        (port) =>
          `curl -sS -o /dev/null --retry 100 --retry-delay 1 --retry-all-errors http://127.0.0.1:${port}/`,
      )
      .join('\n')
    const script = `set -eu\ntrap 'kill $(jobs -p)' EXIT\n${scriptOf(blocks, folder, patience)}\n`
    const child = spawn('bash', ['-c', script], {
      cwd: folder,
      env: { ...process.env, PATH: `${dirname(bin)}:${dirname(process.execPath)}:${process.env.PATH ?? ''}` },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const printed: string[] = []
    child.stdout.on('data', (chunk: Buffer) => printed.push(chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => printed.push(chunk.toString()))
    const code = await new Promise((resolve) => child.once('close', resolve))
    const text = printed.join('')
    assert.equal(code, 0, text)
    // Observed, all three were done; replayed, the draft allows the one that was meant.
    for (const done of ['did GET /notes/7', 'did GET /notes\n', 'did DELETE /notes/7'])
      assert.ok(text.includes(done))
    assert.match(text, /\+ policy notes everybody-lists/)
    assert.match(text, /1 {2}newly allowed/)
    assert.match(text, /0 {2}newly denied/)
    assert.match(text, /chain intact/)
  })
})
