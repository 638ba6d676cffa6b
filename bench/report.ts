import { mkdirSync, writeFileSync } from 'node:fs'
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os'
import { join } from 'node:path'
import type { Load } from './load.ts'
import type { LogRun, Logs } from './logs.ts'
import { median } from './median.ts'
import type { Abuse, AbuseRound, Memory } from './scenarios.ts'
import type { Shared } from './shared.ts'
import { CEDAR_WAYS, ENFORCED, HTTP_PROXY, PUBLIC } from './subjects.ts'

/** One turn of one subject in a closed loop. */
export interface Turn extends Load {
  readonly cpuUsPerRequest: number
}

export interface Measured {
  readonly name: string
  /** One a round. */
  readonly turns: readonly Turn[]
  readonly fixed: Load | null
}

export interface Result {
  readonly at: string
  readonly machine: Readonly<Record<string, string | number | boolean>>
  readonly settings: Readonly<Record<string, string | number>>
  readonly subjects: readonly Measured[]
  /** What was left out, and why. */
  readonly absent: readonly string[]
  readonly abuse: Abuse | null
  readonly memory: Memory | null
  readonly logs: Logs | null
  readonly shared: Shared | null
}

/** What a reader needs to know of the machine to make sense of the figures; nothing that identifies it. */
export const describeMachine = (isPinned: boolean): Result['machine'] => ({
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: availableParallelism(),
  memoryGiB: Math.round(totalmem() / 2 ** 30),
  system: `${platform()} ${arch()} ${release()}`,
  node: process.version,
  pinned: isPinned,
})

const turnsOf = (result: Result, name: string): readonly Turn[] =>
  result.subjects.find((subject) => subject.name === name)?.turns ?? []

/** How many times as many requests `name` did as `base`: the median of the rounds' own ratios; null when one is absent. */
export const ratio = (result: Result, name: string, base: string): number | null => {
  const bases = turnsOf(result, base)
  const ratios = turnsOf(result, name).flatMap(({ requestsPerSecond }, round) => {
    const other = bases[round]
    return other === undefined ? [] : [requestsPerSecond / other.requestsPerSecond]
  })
  return ratios.length === 0 ? null : median(ratios)
}

const of = (turns: readonly Turn[], key: keyof Turn): number => median(turns.map((turn) => turn[key]))

const milliseconds = (us: number): string => (us / 1000).toFixed(2)

const whole = (value: number): string => Math.round(value).toLocaleString('en')

const times = (value: number | null): string => (value === null ? '' : value.toFixed(2))

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string => {
  const widths = head.map((cell, at) => Math.max(cell.length, ...rows.map((row) => (row[at] ?? '').length)))
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at] ?? 0) : cell.padStart(widths[at] ?? 0))).join(' | ')} |`
  const rule = `|${widths.map((width, at) => (at === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`
  return [line(head), rule, ...rows.map(line)].join('\n')
}

const subjectsTable = (result: Result): string =>
  table(
    [
      'subject',
      'requests/s',
      '× http-proxy',
      '× public',
      'p50 ms',
      'p99 ms',
      'CPU µs',
      'p50 fixed',
      'p99 fixed',
    ],
    result.subjects.map(({ name, turns, fixed }) => [
      name,
      whole(of(turns, 'requestsPerSecond')),
      times(ratio(result, name, HTTP_PROXY)),
      times(ratio(result, name, PUBLIC)),
      milliseconds(of(turns, 'p50Us')),
      milliseconds(of(turns, 'p99Us')),
      whole(of(turns, 'cpuUsPerRequest')),
      fixed === null ? '' : milliseconds(fixed.p50Us),
      fixed === null ? '' : milliseconds(fixed.p99Us),
    ]),
  )

const atLeast = (value: number | null, least: number): string =>
  value === null ? 'not measured' : `${times(value)} ${judged(value >= least)}`

const judged = (holds: boolean): string => (holds ? 'holds' : 'FALLS SHORT')

const MEBIBYTE = 1024 * 1024

const aims = (result: Result): readonly string[] => {
  const overProxy = ratio(result, ENFORCED, HTTP_PROXY)
  const overPublic = ratio(result, ENFORCED, PUBLIC)
  const { abuse, memory, logs, shared } = result
  const [few = '', , many = ''] = CEDAR_WAYS.map(({ name }) => name)
  const growth = ratio(result, few, many)
  const p99Us = (which: keyof AbuseRound): number =>
    median((abuse?.rounds ?? []).map((round) => round[which].p99Us))
  const worse = p99Us('abused') / p99Us('calm')
  const megabytes = memory === null ? null : memory.fullBytes / MEBIBYTE
  return [
    `enforced at least 1.6 × bare http-proxy: ${atLeast(overProxy, 1.6)}`,
    `enforced at least 0.85 × public: ${atLeast(overPublic, 0.85)}`,
    `10,000 Cedar policies cost at most 1.5 × what 10 do: ${growth === null ? 'not measured' : `${times(growth)} ${judged(growth <= 1.5)}`}`,
    abuse === null
      ? 'under abuse: not measured'
      : `p99 with ${abuse.idleConnections} idle connections and ${abuse.slowConnections} each of slow headers, bodies and readers at ${abuse.ratePerSecond} requests/s, at most 3 × calm: ` +
        `${milliseconds(p99Us('abused'))} ms / ${milliseconds(p99Us('calm'))} ms = ${times(worse)} ${judged(worse <= 3)}; ` +
        `each round: ${abuse.rounds.map(({ calm, abused }) => `${milliseconds(abused.p99Us)} / ${milliseconds(calm.p99Us)}`).join(', ')}`,
    memory === null || megabytes === null
      ? 'memory: not measured'
      : `${whole(memory.tokens)} tokens, ${memory.routes} routes, ${whole(memory.grants)} grants in 400 MiB: ` +
        `${whole(megabytes)} MiB resident (${whole(memory.emptyBytes / MEBIBYTE)} before) ${judged(megabytes <= 400)}`,
    ...(shared === null
      ? ['grants and marks in Redis: not measured']
      : [
          `from a mark to its effect on another gateway, p99 under 50 ms: ${shared.marks} marks, p50 ${milliseconds(shared.markToEffectP50Us)} ms, p99 ${milliseconds(shared.markToEffectP99Us)} ms ${judged(shared.markToEffectP99Us < 50_000)}`,
          `${whole(shared.grants)} grants in Redis: ${whole(shared.bytesPerGrant)} bytes each; a hit there p50 ${milliseconds(shared.sharedHitP50Us)} ms, in memory ${milliseconds(shared.memoryHitP50Us)} ms`,
        ]),
    ...(logs === null
      ? ['logs: not measured']
      : [
          `audit verify: ${logRun(logs.verify)}`,
          `replay in less than 300 MiB: ${logRun(logs.replay)} ${judged(logs.replay.peakMegabytes < 300)}`,
        ]),
  ]
}

const logRun = ({ records, megabytes, seconds, peakMegabytes }: LogRun): string =>
  `${whole(records)} records in ${seconds.toFixed(1)} s: ${whole(records / seconds)} a second, ${whole(megabytes / seconds)} MB/s, ${whole(peakMegabytes)} MiB at most`

/** The whole result as Markdown, which also reads well on a terminal. */
export const describe = (result: Result): string =>
  [
    subjectsTable(result),
    '',
    `${Object.entries(result.settings)
      .map(([key, value]) => `${key} ${value}`)
      .join(', ')}; ${Object.entries(result.machine)
      .map(([key, value]) => `${key} ${value}`)
      .join(', ')}`,
    ...result.absent.map((line) => `absent: ${line}`),
    '',
    ...aims(result).map((line) => `- ${line}`),
    '',
  ].join('\n')

/** Writes the result with its table below `folder`. @returns the file. */
export const keep = (result: Result, folder: string): string => {
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${result.at.slice(0, 19).replaceAll(':', '-')}.json`)
  writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`)
  return file
}
