import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { CompactSign, exportJWK, generateKeyPair } from 'jose'
import { auditVerify } from '../../src/cli/audit-verify.ts'
import { chainOf, temporaryFolder } from '../gateway/record/samples.ts'

const { lines, heads } = chainOf(3)
const [, , hash = ''] = heads
const HEAD = { file: 'log.ndjson', writer: 'gw-1.0', seq: 3, hash, time: '2026-11-23T22:10:00.123Z' }

const run = async (options: {
  readonly files: readonly string[]
  readonly head?: string
  readonly jwks?: string
  readonly json?: boolean
}) => {
  let out = ''
  let err = ''
  const exitCode = await auditVerify(
    { json: false, ...options },
    {
      out: (text) => {
        out += text
      },
      err: (text) => {
        err += text
      },
    },
  )
  return { exitCode, out, err }
}

const saved = (t: TestContext, content: string, name = 'log.ndjson'): string => {
  const path = join(temporaryFolder(t), name)
  writeFileSync(path, content)
  return path
}

const log = (t: TestContext, count = 3): string =>
  saved(
    t,
    lines
      .slice(0, count)
      .map((line) => `${line}\n`)
      .join(''),
  )

const signing = async () => {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const jwks = JSON.stringify({ keys: [await exportJWK(publicKey)] })
  const sign = (payload: object) =>
    new CompactSign(Buffer.from(JSON.stringify(payload)))
      .setProtectedHeader({ alg: 'ES256' })
      .sign(privateKey)
  return { jwks, sign }
}

test('an unbroken chain exits 0 with one line that says what was verified', async (t) => {
  const file = log(t)
  assert.deepEqual(await run({ files: [file], head: `3:${hash}` }), {
    exitCode: 0,
    out:
      `${file}: 3 records, chain intact from seq 1 to 3, head 3:${hash}\n` +
      `head 3:${hash}: matches; it is not signed\n`,
    err: '',
  })
})

test('without a head it is said what cannot be seen', async (t) => {
  const { exitCode, out } = await run({ files: [log(t)] })
  assert.equal(exitCode, 0)
  assert.match(out, /^no --head was given/m)
})

test('a finding is a line of its own with file, line and column, and exits 1', async (t) => {
  const file = saved(t, `${lines[0]}\n${lines[1]?.replace('deny', 'dent')}\n${lines[2]}\n`)
  const { exitCode, out } = await run({ files: [file], head: hash })
  assert.equal(exitCode, 1)
  const [finding, summary] = out.split('\n')
  assert.equal(
    finding,
    `${file}:2:1: error: this line was changed: its hash is not the one that the line after it holds`,
  )
  assert.match(summary ?? '', /3 records, chain BROKEN from seq 1 to 3/)
})

test('--json prints findings, chains and heads, and nothing else', async (t) => {
  const file = log(t, 2)
  const { exitCode, out } = await run({ files: [file], head: JSON.stringify(HEAD), json: true })
  assert.equal(exitCode, 1)
  const { findings, chains, heads: checked } = JSON.parse(out)
  assert.deepEqual(findings, [
    {
      severity: 'error',
      rule: 'truncated',
      file,
      line: 2,
      column: 1,
      message: '1 record is missing behind this line: the head given is of seq 3',
    },
  ])
  assert.equal(chains[0].intact, true)
  assert.equal(checked[0].outcome, 'missing')
})

const pinoLine = (head: object): string => JSON.stringify({ level: 30, msg: 'audit head', auditHead: head })
const OLD = { ...HEAD, seq: 1, hash: heads[0] }

const spellings: Readonly<Record<string, string>> = {
  'a hash': hash,
  'a seq and a hash': `3:${hash}`,
  'a JSON head': JSON.stringify(HEAD),
  'an answer of the admin port': JSON.stringify({ heads: [HEAD] }),
}
const files: Readonly<Record<string, string>> = {
  ...spellings,
  'a JSON head over several lines': JSON.stringify([HEAD], null, 2),
  'a process log with older heads': `starting\n${pinoLine(OLD)}\n{"level":30}\n${pinoLine(HEAD)}\nstopped`,
}
for (const [what, text] of Object.entries(spellings)) {
  test(`--head may be ${what}`, async (t) => {
    assert.equal((await run({ files: [log(t)], head: text })).exitCode, 0)
    assert.equal((await run({ files: [log(t, 2)], head: text })).exitCode, 1)
  })
}
for (const [what, text] of Object.entries(files)) {
  test(`--head may be a file that holds ${what}`, async (t) => {
    const path = saved(t, text, 'heads')
    assert.equal((await run({ files: [log(t)], head: path })).exitCode, 0)
    assert.equal((await run({ files: [log(t, 2)], head: path })).exitCode, 1)
  })
}

test('a signed head is verified by the keys that are given, and said to be unverified without', async (t) => {
  const { jwks, sign } = await signing()
  const head = await sign(HEAD)
  const keys = saved(t, jwks, 'jwks.json')
  const verified = await run({ files: [log(t)], head, jwks: keys })
  assert.equal(verified.exitCode, 0)
  assert.match(verified.out, /matches; its signature is valid$/m)
  const unverified = await run({ files: [log(t)], head })
  assert.equal(unverified.exitCode, 0)
  assert.match(unverified.out, /matches; its signature was not checked/)
  const cut = await run({ files: [log(t, 2)], head, jwks: keys })
  assert.equal(cut.exitCode, 1)
})

test('a head that others signed, or that was changed beside its signature, is not believed', async (t) => {
  const { jwks } = await signing()
  const { sign } = await signing()
  const keys = saved(t, jwks, 'jwks.json')
  const forged = await run({ files: [log(t)], head: await sign(HEAD), jwks: keys })
  assert.equal(forged.exitCode, 1)
  assert.match(forged.out, /error: the head given has no valid signature/)
  // The hash of the cut chain stands beside a signature over the whole one.
  const [, second] = heads
  const beside = pinoLine({ ...HEAD, seq: 2, hash: second, jws: await sign(HEAD) })
  assert.equal((await run({ files: [log(t, 2)], head: saved(t, beside, 'heads') })).exitCode, 1)
})

const mistakes: Readonly<Record<string, (t: TestContext) => Parameters<typeof run>[0]>> = {
  'a log that is missing': () => ({ files: ['/nonexistent/log.ndjson'] }),
  'a head that is none': (t) => ({ files: [log(t)], head: 'sha256:abc' }),
  'a file that holds no head': (t) => ({ files: [log(t)], head: log(t) }),
  'keys that are missing': (t) => ({ files: [log(t)], head: hash, jwks: '/nonexistent/jwks.json' }),
  'keys that are none': (t) => ({ files: [log(t)], head: hash, jwks: saved(t, '{}', 'jwks.json') }),
  'keys that are not JSON': (t) => ({ files: [log(t)], head: hash, jwks: saved(t, 'x', 'jwks.json') }),
}
for (const [what, options] of Object.entries(mistakes)) {
  test(`${what} exits 2 with one line of error and nothing else`, async (t) => {
    const { exitCode, out, err } = await run(options(t))
    assert.equal(exitCode, 2)
    assert.equal(out, '')
    assert.match(err, /^sallyport audit verify: [^\n]+\n$/)
  })
}

test('what stands in a log cannot write to the terminal', async (t) => {
  const file = saved(
    t,
    lines.map((line) => `${line.replace('"writer":"gw-1.0"', '"writer":"\u001b[2Jgw"')}\n`).join(''),
  )
  const { out } = await run({ files: [file] })
  assert.ok(!out.includes('\u001b'))
})
