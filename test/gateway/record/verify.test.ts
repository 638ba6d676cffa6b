import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { after, test } from 'node:test'
import fc from 'fast-check'
import { digest, GENESIS } from '../../../src/gateway/record/chain.ts'
import type { GivenHead } from '../../../src/gateway/record/given-heads.ts'
import { type Verification, verifyLogs } from '../../../src/gateway/record/verify.ts'
import { chainOf, linked, shortRecord } from './samples.ts'

const folder = mkdtempSync(join(tmpdir(), 'sallyport-verify-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const head = (hash: string, more: Partial<GivenHead> = {}): GivenHead => ({
  hash,
  seq: null,
  writer: null,
  file: null,
  signature: 'none',
  ...more,
})

const verify = async (files: readonly string[], heads: readonly GivenHead[]): Promise<Verification> => {
  const verification = await verifyLogs(files, { heads })
  assert.ok('findings' in verification)
  return verification
}

const saved = (name: string, content: string | Buffer): string => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}

const text = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('')

/** `line rule` of each finding for the content of one file, given the head of the chain that it was made of. */
const found = async (content: string | Buffer, heads: readonly GivenHead[]): Promise<readonly string[]> => {
  const { findings } = await verify([saved('log.ndjson', content)], heads)
  return findings.map(({ line, rule }) => `${line} ${rule}`)
}

const COUNT = 9
const { lines, heads } = chainOf(COUNT)
const last = head(heads.at(-1) ?? '', { seq: COUNT, writer: 'gw-1.0', file: 'log.ndjson' })
const bare = head(heads.at(-1) ?? '')

const position = fc.nat({ max: COUNT - 1 })
const swapped = (from: number, to: number): readonly string[] =>
  lines.map((line, index) => (index === from ? lines[to] : index === to ? lines[from] : line) ?? '')

test('an unbroken chain has no findings, and its head matches', async () => {
  const verification = await verify([saved('log.ndjson', text(lines))], [last])
  assert.deepEqual(verification.findings, [])
  assert.deepEqual(verification.chains, [
    {
      files: [join(folder, 'log.ndjson')],
      records: COUNT,
      firstSeq: 1,
      lastSeq: COUNT,
      head: heads.at(-1),
      writers: ['gw-1.0'],
      intact: true,
    },
  ])
  assert.deepEqual(verification.heads, [{ ...last, outcome: 'matched', recordsAfter: 0 }])
})

test('any byte that is changed is found, and its line is named', async () => {
  const original = Buffer.from(text(lines))
  await fc.assert(
    fc.asyncProperty(
      fc.nat({ max: original.length - 1 }),
      fc.integer({ min: 1, max: 255 }),
      fc.constantFrom(last, bare),
      async (at, flip, given) => {
        const changed = Buffer.from(original)
        changed[at] = (changed[at] ?? 0) ^ flip
        const line = original.subarray(0, at).toString().split('\n').length
        const numbers = (await found(changed, [given])).map((finding) => Number.parseInt(finding, 10))
        assert.ok(numbers.includes(line), `line ${line}, found ${numbers}`)
      },
    ),
    { numRuns: 1500 },
  )
})

test('a line whose content was changed is the only one that is blamed', async () => {
  for (const [index, line] of lines.entries()) {
    const changed = lines.with(index, line.replace('no_route', 'no_doubt'))
    const expected = index === COUNT - 1 ? 'head-mismatch' : 'changed'
    assert.deepEqual(await found(text(changed), [last]), [`${index + 1} ${expected}`])
  }
})

test('a line whose link was changed is blamed, and the line that it no longer confirms is only suspected', async () => {
  const [, , third = ''] = lines
  const changed = lines.with(2, third.replace(/"prev":"sha256:./, '"prev":"sha256:x').replace(':x', ':0'))
  assert.deepEqual(await found(text(changed), [last]), ['3 changed', '2 unconfirmed'])
  assert.deepEqual(await found(text(lines.with(2, third.replace('"seq":3', '"seq":8'))), [last]), [
    '3 changed',
  ])
})

test('any line that is removed is found where it is missing', async () => {
  for (const index of lines.keys()) {
    const expected = index === COUNT - 1 ? `${COUNT - 1} truncated` : `${index + 1} removed`
    assert.deepEqual(await found(text(lines.toSpliced(index, 1)), [last]), [expected])
  }
})

test('any run of lines that is removed is one finding', async () => {
  await fc.assert(
    fc.asyncProperty(position, fc.integer({ min: 1, max: COUNT - 1 }), async (from, count) => {
      const kept = lines.toSpliced(from, count)
      const expected = from + count >= COUNT ? `${Math.max(1, from)} truncated` : `${from + 1} removed`
      if (kept.length > 0) assert.deepEqual(await found(text(kept), [last]), [expected])
    }),
  )
})

test('any two lines that were swapped are found as out of order', async () => {
  await fc.assert(
    fc.asyncProperty(position, position, async (from, to) => {
      fc.pre(from !== to)
      const findings = await found(text(swapped(from, to)), [last])
      assert.ok(findings.length >= 1 && findings.length <= COUNT, findings.join())
      assert.ok(
        findings.some((finding) => finding === `${from + 1} reordered` || finding === `${to + 1} reordered`),
        findings.join(),
      )
      assert.ok(
        findings.every((finding) => finding.endsWith('reordered')),
        findings.join(),
      )
    }),
  )
})

test('any line that was repeated elsewhere is found at one of its two places', async () => {
  await fc.assert(
    fc.asyncProperty(position, fc.nat({ max: COUNT }), async (from, to) => {
      const findings = await found(text(lines.toSpliced(to, 0, lines[from] ?? '')), [last])
      const copy = to + 1
      const original = from >= to ? from + 2 : from + 1
      assert.equal(findings.length, 1, findings.join())
      assert.ok(
        findings.some((finding) => [copy, original].includes(Number.parseInt(finding, 10))),
        findings.join(),
      )
    }),
  )
})

test('any line that was inserted is found', async () => {
  const foreign = fc.oneof(
    fc.constant(''),
    fc.constant('{}'),
    fc.string().map((content) => content.replaceAll('\n', ' ')),
    fc.nat({ max: 20 }).map((seq) => linked(shortRecord('x').line, seq + 1, digest(Buffer.from(`${seq}`)))),
  )
  await fc.assert(
    fc.asyncProperty(foreign, fc.nat({ max: COUNT }), async (line, at) => {
      const findings = await found(text(lines.toSpliced(at, 0, line)), [last])
      assert.ok(
        findings.some((finding) => [at, at + 1, at + 2].includes(Number.parseInt(finding, 10))),
        findings.join(),
      )
    }),
  )
})

test('any tail that was cut off, at any byte, is found against the head', async () => {
  const original = Buffer.from(text(lines))
  for (let length = 0; length < original.length; length += 7) {
    for (const given of [last, bare])
      assert.notDeepEqual(await found(original.subarray(0, length), [given]), [])
  }
})

test('without a head a tail that was cut off between lines cannot be seen', async () => {
  assert.deepEqual(await found(text(lines.slice(0, 4)), []), [])
})

test('several changes at once never pass for an unbroken chain', async () => {
  const change = fc.oneof(
    fc.record({ kind: fc.constant('remove'), at: position }),
    fc.record({ kind: fc.constant('repeat'), at: position }),
    fc.record({ kind: fc.constant('move'), at: position }),
    fc.record({ kind: fc.constant('alter'), at: position }),
    fc.record({ kind: fc.constant('garble'), at: position }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), async (changes) => {
      let altered = lines
      for (const { kind, at } of changes) altered = alter(altered, kind, at)
      fc.pre(text(altered) !== text(lines))
      assert.notDeepEqual(await found(text(altered), [last]), [])
    }),
    { numRuns: 500 },
  )
})

const alter = (before: readonly string[], kind: string, at: number): readonly string[] => {
  const line = before[at]
  if (line === undefined) return before
  if (kind === 'remove') return before.toSpliced(at, 1)
  if (kind === 'repeat') return before.toSpliced(at, 0, line)
  if (kind === 'move') return [...before.toSpliced(at, 1), line]
  return before.with(at, kind === 'alter' ? line.replace('deny', 'dent') : 'x')
}

test('a chain that was written anew after a change is found against the head alone', async () => {
  const rewritten: string[] = []
  let prev = GENESIS
  for (const seq of lines.keys()) {
    const line = linked(shortRecord(seq === 3 ? 'forged' : `gw-1.0-${seq + 1}`).line, seq + 1, prev)
    rewritten.push(line)
    prev = digest(Buffer.from(line))
  }
  assert.deepEqual(await found(text(rewritten), []), [])
  assert.deepEqual(await found(text(rewritten), [last]), [`${COUNT} head-mismatch`])
  assert.deepEqual(await found(text(rewritten), [bare]), [`${COUNT} truncated`])
  assert.deepEqual(await found(text(rewritten), [head(heads[2] ?? '', { seq: 3 })]), [])
})

test('an older head matches, and says how many records it does not cover', async () => {
  const verification = await verify([saved('log.ndjson', text(lines))], [head(heads[4] ?? '', { seq: 5 })])
  assert.deepEqual(verification.findings, [])
  assert.deepEqual(
    verification.heads.map(({ outcome, recordsAfter }) => ({ outcome, recordsAfter })),
    [{ outcome: 'matched', recordsAfter: 4 }],
  )
})

test('a head whose signature is not valid is refused', async () => {
  assert.deepEqual(await found(text(lines), [{ ...last, signature: 'invalid' }]), ['1 head-signature'])
})

test('the parts of a rotated chain are one chain, in whatever order they are given', async () => {
  const cuts = fc.uniqueArray(fc.integer({ min: 1, max: COUNT - 1 }), { maxLength: 4 })
  await fc.assert(
    fc.asyncProperty(cuts, fc.array(fc.nat(), { minLength: 6, maxLength: 6 }), async (points, order) => {
      const bounds = [0, ...points.sort((left, right) => left - right), COUNT]
      const parts = bounds
        .slice(1)
        .map((to, index) => saved(`part.${index}.ndjson`, text(lines.slice(bounds[index], to))))
      const shuffled = parts.map((part, index) => ({ part, at: order[index] ?? 0 }))
      shuffled.sort((left, right) => left.at - right.at)
      const { findings, chains } = await verify(
        shuffled.map(({ part }) => part),
        [{ ...last, file: null }],
      )
      assert.deepEqual(findings, [])
      assert.deepEqual(
        chains.map(({ files }) => files),
        [parts],
      )
    }),
  )
})

test('a change at the joint of two parts is found in the part where it is', async () => {
  const first = saved(
    'joint.0.ndjson',
    text(lines.slice(0, 4).with(3, (lines[3] ?? '').replace('deny', 'dent'))),
  )
  const second = saved('joint.1.ndjson', text(lines.slice(4)))
  const cut = saved('joint.2.ndjson', text(lines.slice(0, 3)))
  const places = async (files: readonly string[]) =>
    (await verify(files, [])).findings.map(({ file, line, rule }) => `${basename(file)}:${line} ${rule}`)
  assert.deepEqual(await places([first, second]), ['joint.0.ndjson:4 changed'])
  assert.deepEqual(await places([cut, second]), ['joint.1.ndjson:1 removed'])
  assert.deepEqual(await places([second]), ['joint.1.ndjson:1 removed'])
})

test('the chains of several writers are verified each by itself, against heads from one log', async () => {
  const other = chainOf(4, 'gw-1.1')
  const first = saved('log.0.ndjson', text(lines))
  const second = saved('log.1.ndjson', text(other.lines))
  const given = [
    head(heads.at(-1) ?? '', { seq: COUNT, writer: 'gw-1.0', file: 'log.0.ndjson' }),
    head(other.heads[3] ?? '', { seq: 4, writer: 'gw-1.1', file: 'log.1.ndjson' }),
  ]
  const both = await verify([first, second], given)
  assert.deepEqual(both.findings, [])
  assert.deepEqual(
    both.chains.map(({ writers, lastSeq }) => [writers, lastSeq]),
    [
      [['gw-1.0'], COUNT],
      [['gw-1.1'], 4],
    ],
  )
  assert.deepEqual(
    both.heads.map(({ outcome }) => outcome),
    ['matched', 'matched'],
  )
  assert.deepEqual(
    (await verify([first], given)).heads.map(({ outcome }) => outcome),
    ['matched', 'elsewhere'],
  )
  const renamed = saved('renamed.ndjson', text(lines.slice(0, 5)))
  assert.deepEqual(
    (await verify([renamed], given)).findings.map(({ rule }) => rule),
    ['truncated', 'removed'],
    'heads are not set aside when none of them is of the file',
  )
  saved('log.1.ndjson', text(other.lines.slice(0, 2)))
  assert.deepEqual(
    (await verify([first, second], given)).findings.map(
      ({ file, line, rule }) => `${basename(file)}:${line} ${rule}`,
    ),
    ['log.1.ndjson:2 truncated'],
  )
})

test('a file without a chain is one finding, and an empty file none', async () => {
  assert.deepEqual(await found('one\ntwo\n{"v":1}\n', []), ['1 no-chain'])
  assert.deepEqual(await found('', []), [])
  assert.deepEqual(await found('', [last]), ['1 truncated'])
})

test('a file that is missing is told from one with findings', async () => {
  assert.deepEqual(await verifyLogs([join(folder, 'none')], { heads: [] }), {
    unreadable: join(folder, 'none'),
    code: 'ENOENT',
  })
  assert.deepEqual(await verifyLogs([folder], { heads: [] }), { unreadable: folder, code: 'EISDIR' })
})

test('lines longer than what is read at once are verified like others', async () => {
  const long: string[] = []
  let prev = GENESIS
  for (const [index, length] of [10, 3_000_000, 10, 1_048_576].entries()) {
    const line = linked(shortRecord('x'.repeat(length)).line, index + 1, prev)
    long.push(line)
    prev = digest(Buffer.from(line))
  }
  assert.deepEqual(await found(text(long), [head(prev)]), [])
  assert.deepEqual(await found(text(long.with(1, (long[1] ?? '').replace('xx', 'xy'))), [head(prev)]), [
    '2 changed',
  ])
})

test('a log that is broken all over does not flood its reader', async () => {
  const broken = Array.from({ length: 5000 }, (_, index) => lines[index % COUNT] ?? '')
  const { findings } = await verify([saved('log.ndjson', text(broken))], [])
  assert.equal(findings.length, 1001)
  assert.equal(findings.at(-1)?.rule, 'more')
})
