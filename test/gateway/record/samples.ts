import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import type { Clock } from '../../../src/core/clock.ts'
import type { Log } from '../../../src/core/log.ts'
import type { RecordEntry } from '../../../src/core/record-entry.ts'
import { digest, GENESIS, linkEnd } from '../../../src/gateway/record/chain.ts'
import type { DecisionRecord } from '../../../src/gateway/record/decision-record.ts'
import { createFileSink, type FileSinkOptions } from '../../../src/gateway/record/sinks/file.ts'
import { type GuardOptions, guardSink } from '../../../src/gateway/record/sinks/guard-sink.ts'
import type { BareSink, Sink } from '../../../src/gateway/record/sinks/sink.ts'

export const NOW_MS = Date.UTC(2026, 10, 23, 22, 10, 0, 123)

export const fixedClock: Clock = { nowMs: () => NOW_MS, monotonicUs: () => 0 }

export interface LoggedLine {
  readonly level: 'debug' | 'info' | 'warn' | 'error'
  readonly fields: Readonly<Record<string, unknown>>
  readonly message: string
}

/** A log that keeps what it is told. */
export const keepingLog = (): { readonly log: Log; readonly lines: LoggedLine[] } => {
  const lines: LoggedLine[] = []
  const at = (level: LoggedLine['level']) => (fields: object, message: string) => {
    lines.push({ level, fields: { ...fields }, message })
  }
  return { lines, log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } }
}

/** A folder that goes with the test. */
export const temporaryFolder = (t: TestContext): string => {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-record-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

export const fileSink = (path: string, options: Partial<FileSinkOptions> = {}): BareSink =>
  createFileSink({
    name: 'audit[0]',
    path,
    chain: true,
    fsync: false,
    clock: fixedClock,
    log: keepingLog().log,
    ...options,
  })

/** A sink as the record stage has it. */
export const guarded = (sink: BareSink, options: Partial<GuardOptions> = {}): Sink =>
  guardSink(sink, {
    required: true,
    accepts: null,
    redact: null,
    reshape: null,
    clock: fixedClock,
    log: keepingLog().log,
    ...options,
  })

/** A record that is as short as they get, and its line. */
export const shortRecord = (id: string, writer = 'gw-1.0'): { line: string; record: DecisionRecord } => {
  const record: DecisionRecord = {
    v: 1,
    id,
    time: '2026-11-23T22:10:00.123Z',
    decision: 'deny',
    code: 'no_route',
    source: 'accept',
    configVersion: 'sha256:0',
    request: { id },
    latencyUs: {},
    writer,
  }
  return { line: JSON.stringify(record), record }
}

export const writeShort = (
  sink: Pick<BareSink, 'write'>,
  id: string,
  writer?: string,
): ReturnType<BareSink['write']> => {
  const { line, record } = shortRecord(id, writer)
  return sink.write(line, record)
}

/** A whole chain without any file: its lines and the head of each. */
export const chainOf = (
  count: number,
  writer = 'gw-1.0',
): { readonly lines: readonly string[]; readonly heads: readonly string[] } => {
  const lines: string[] = []
  const heads: string[] = []
  for (let seq = 1; seq <= count; seq += 1) {
    const line = linked(shortRecord(`${writer}-${seq}`, writer).line, seq, heads.at(-1) ?? GENESIS)
    lines.push(line)
    heads.push(digest(Buffer.from(line)))
  }
  return { lines, heads }
}

export const linesOf = (path: string): readonly string[] => {
  const text = readFileSync(path, 'utf8')
  return text === '' ? [] : text.replace(/\n$/, '').split('\n')
}

/** An allowed request that has every part. */
export const allowedEntry = (): RecordEntry => ({
  id: '0193aaaa-0000-7000-8000-000000000001',
  outcome: {
    decision: 'allow',
    reasons: ['owner-read'],
    errors: [],
    source: 'engine',
    policyVersion: 'sha256:policy',
    grant: { id: 'grant-key', expiresAtMs: NOW_MS + 15_000 },
  },
  request: {
    id: '0193aaaa-0000-7000-8000-000000000001',
    method: 'GET',
    host: 'bank.example.com',
    path: '/accounts/42',
    ip: '192.0.2.7',
    receivedAtMs: NOW_MS - 2,
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  },
  route: {
    index: 0,
    name: 'read-account',
    owner: 'payments',
    access: 'protected',
    mode: 'enforce',
    authenticate: ['staff'],
    engine: 'bank',
    upstream: 'core',
  },
  identity: {
    subject: { type: 'User', id: 'alice' },
    credential: {
      type: 'jwt',
      authenticator: 'staff',
      id: 'token-1',
      issuer: 'https://idp.example.com',
      issuedAt: NOW_MS / 1000 - 12.5,
      expiresAt: NOW_MS / 1000 + 60,
      digest: 'digest-of-the-token',
    },
    claims: { sub: 'alice', nonce: 'claims-are-not-recorded' },
  },
  bound: {
    accessRequests: [
      {
        subject: { type: 'User', id: 'alice' },
        action: { name: 'read' },
        resource: { type: 'Account', id: '42' },
        context: { sensitivity: 'high' },
      },
    ],
    batch: false,
    cacheable: true,
    target: '/accounts/42?token=query-strings-are-not-recorded',
    headers: ['x-remote-user', 'set-headers-are-not-recorded'],
    inputs: { 'path.accountId': '42' },
    body: Buffer.from('bodies-are-not-recorded'),
  },
  latencyUs: { authenticate: 40, decide: 180 },
})

/** Waits for a condition, and fails when it does not come about in 30 s. */
export const until = async (condition: () => boolean): Promise<void> => {
  const deadlineMs = Date.now() + 30_000
  while (!condition()) {
    if (Date.now() > deadlineMs) throw new Error(`not within 30 s: ${condition}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** A line tied to the one before it. */
export const linked = (line: string, seq: number, prev: string): string =>
  `${line.slice(0, -1)}${linkEnd(seq, prev)}`
