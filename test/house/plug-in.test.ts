import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { repositoryRoot } from './source-files.ts'

const NEW_FILE = 'src/gateway/authenticate/dummy.ts'
const KINDS = 'src/gateway/authenticate/kinds.ts'

/** Believes whoever knocks with the right word; as short as an authenticator can be. */
const DUMMY = `import { createHash } from 'node:crypto'
import { z } from 'zod'
import { badCredential, defineAuthenticator } from './authenticator.ts'

/** Lets in whoever sends the configured word. */
export const dummy = defineAuthenticator({
  type: 'dummy',
  config: () =>
    z.strictObject({
      type: z.literal('dummy'),
      word: z.string().min(1).describe('What X-Dummy must say'),
    }),
  prepare: (name, config) => ({
    description: {
      carrier: { kind: 'header', name: 'x-dummy' },
      selector: {},
      subjectTypes: ['User'],
      prefix: '',
    },
    create: () => ({
      challenge: null,
      declines: () => null,
      authenticate: ({ value }) => {
        if (value !== config.word) return badCredential(name, 'another word')
        const digest = createHash('sha256').update(value).digest('hex')
        const credential = { type: 'dummy', authenticator: name, id: 'word', digest }
        return {
          identity: { subject: { type: 'User', id: 'dummy' }, credential, claims: {} },
          keep: null,
        }
      },
    }),
  }),
})
`

const copyRepository = (): string => {
  const copy = mkdtempSync(join(tmpdir(), 'sallyport-plug-in-'))
  cpSync(repositoryRoot, copy, {
    recursive: true,
    filter: (source) =>
      !['.cache', '.git', 'node_modules', 'dist', 'log'].includes(source.slice(repositoryRoot.length + 1)),
  })
  symlinkSync(join(repositoryRoot, 'node_modules'), join(copy, 'node_modules'), 'junction')
  return copy
}

/** The import stands where its name sorts, the kind at the end of the list. */
const addKind = (kinds: string): string => {
  const lines = kinds.split('\n')
  const place = lines.findIndex(
    (line) => line.startsWith('import ') && line > "import { dummy } from './dummy.ts'",
  )
  lines.splice(place, 0, "import { dummy } from './dummy.ts'")
  return lines.join('\n').replace(/^\] as const$/m, '  dummy,\n] as const')
}

const changedLines = (before: string, after: string): number => {
  const old = new Set(before.split('\n'))
  return after.split('\n').filter((line) => !old.has(line)).length
}

test('an authenticator is added by one new file and two changed lines, and npm run check passes', async () => {
  const copy = copyRepository()
  try {
    const before = readFileSync(join(copy, KINDS), 'utf8')
    const after = addKind(before)
    assert.equal(changedLines(before, after), 2)
    assert.equal(existsSync(join(copy, NEW_FILE)), false)
    writeFileSync(join(copy, NEW_FILE), DUMMY)
    writeFileSync(join(copy, KINDS), after)

    const check = spawnSync('npm', ['run', 'check'], {
      cwd: copy,
      encoding: 'utf8',
      shell: process.platform === 'win32',
      timeout: 150_000,
    })
    assert.equal(check.status, 0, `${check.stdout}\n${check.stderr}`)

    const { AUTHENTICATOR_KINDS } = await import(
      pathToFileURL(join(copy, 'dist', KINDS.replace(/\.ts$/, '.js'))).href
    )
    assert.ok(AUTHENTICATOR_KINDS.some(({ type }: { readonly type: string }) => type === 'dummy'))
    const schema = execFileSync(process.execPath, [join(copy, 'bin', 'sallyport'), 'schema'], {
      encoding: 'utf8',
    })
    assert.match(schema, /What X-Dummy must say/)
  } finally {
    rmSync(copy, { recursive: true, force: true })
  }
})
