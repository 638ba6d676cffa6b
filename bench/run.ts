import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { candidates } from './candidates.ts'
import { closedLoop, closedLoopGenerator, type LoadOptions } from './load.ts'
import { measureLogs } from './logs.ts'
import { canPin, cpuUs, freePort, nodeServer, startProcess, stopEverything } from './processes.ts'
import { describe, describeMachine, keep, type Measured, type Result, type Turn } from './report.ts'
import { fixedRate, measureAbuse, measureMemory } from './scenarios.ts'
import { measureShared } from './shared.ts'
import { type Candidate, ENFORCED, type Subject } from './subjects.ts'

const USAGE = `npm run bench [-- options]

  --rounds N        how often each subject has its turn (default 5)
  --seconds N       how long a turn is (default 5)
  --connections N   connections of the closed loop (default 64)
  --rate N          requests a second of the fixed rate (default 1000)
  --only TEXT       subjects whose name holds this text, and no other scenario
  --records N       how many records the replayed log has (default 1000000)
  --install         first gets wrk, nginx and Caddy from the distribution
  --no-keep         does not write bench/results/
`

// More than any subject can be asked for in a second by one that brings a new token each time.
const MOST_FRESH_TOKENS_PER_SECOND = 6000
// So long V8 takes on this code until it has compiled what is used: after 5 s a request still costs twice as much.
const WARM_UP_SECONDS = 15
// Since its last turn others have had the core, and its connections have come to their end.
const AGAIN_SECONDS = 4

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '64' },
    rate: { type: 'string', default: '1000' },
    records: { type: 'string', default: '1000000' },
    only: { type: 'string' },
    install: { type: 'boolean', default: false },
    'no-keep': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

const say = (line: string): void => {
  process.stderr.write(`${line}\n`)
}

const takeTurn = async (subject: Subject, options: LoadOptions, warmUpSeconds: number): Promise<Turn> => {
  const { port, path, pids } = subject
  const tokens = (seconds: number) => subject.tokens(seconds * MOST_FRESH_TOKENS_PER_SECOND)
  await closedLoop({ port, path, tokens: tokens(warmUpSeconds) }, { ...options, seconds: warmUpSeconds })
  const aim = { port, path, tokens: tokens(options.seconds) }
  const before = cpuUs(pids)
  const load = await closedLoop(aim, options)
  return { ...load, cpuUsPerRequest: (cpuUs(pids) - before) / load.requests }
}

const startAll = async (
  wanted: readonly Candidate[],
  backendPort: number,
  scratch: string,
): Promise<readonly Subject[]> => {
  const started: Subject[] = []
  for (const candidate of wanted) started.push(await candidate.start(backendPort, scratch))
  return started
}

const measureSubjects = async (
  subjects: readonly Subject[],
  rounds: number,
  options: LoadOptions,
): Promise<readonly Measured[]> => {
  const turns = new Map<string, Turn[]>(subjects.map(({ name }) => [name, []]))
  for (let round = 1; round <= rounds; round += 1) {
    for (const subject of subjects) {
      const turn = await takeTurn(subject, options, round === 1 ? WARM_UP_SECONDS : AGAIN_SECONDS)
      turns.get(subject.name)?.push(turn)
      say(`round ${round} of ${rounds}: ${subject.name}: ${Math.round(turn.requestsPerSecond)} requests/s`)
    }
  }
  return subjects.map((subject) => {
    const { name, port, path, freshTokens } = subject
    const plan = { port, path, ratePerSecond: Number(values.rate), seconds: options.seconds, connections: 64 }
    const fixed = freshTokens ? null : fixedRate({ ...plan, token: subject.tokens(1)[0] ?? '' })
    return { name, turns: turns.get(name) ?? [], fixed }
  })
}

const benchAll = async (scratch: string): Promise<Result> => {
  const [rounds, seconds, connections] = [values.rounds, values.seconds, values.connections].map(Number) as [
    number,
    number,
    number,
  ]
  const only = values.only
  const wanted = candidates().filter(({ name }) => only === undefined || name.includes(only))
  const absent = wanted.flatMap(({ name, missing }) =>
    missing === null ? [] : [`${name}: ${missing} is not installed (--install gets it)`],
  )
  const backendPort = await freePort()
  const backend = await startProcess('surroundings', nodeServer('backend', backendPort), backendPort)
  const there = wanted.filter(({ missing }) => missing === null)
  const subjects = await startAll(there, backendPort, scratch)
  const measured = await measureSubjects(subjects, rounds, { seconds, connections, scratch })
  await Promise.all(subjects.map(({ stop }) => stop()))
  say('callers that hold on')
  const abuse = only === undefined ? await measureAbuse(backendPort, rounds) : null
  say('memory')
  const memory = only === undefined ? await measureMemory(backendPort) : null
  say('shared grants and marks')
  const shared = only === undefined ? await measureShared(backendPort) : null
  say('decision logs')
  const enforced = subjects.find(({ name }) => name === ENFORCED)?.world
  const logs =
    only === undefined && enforced !== undefined
      ? await measureLogs(enforced, Number(values.records), scratch)
      : null
  await backend.stop()
  return {
    at: new Date().toISOString(),
    machine: describeMachine(canPin()),
    settings: {
      rounds,
      seconds,
      connections,
      fixedRate: Number(values.rate),
      generator: closedLoopGenerator(),
    },
    subjects: measured,
    absent,
    abuse,
    memory,
    logs,
    shared,
  }
}

const main = async (): Promise<void> => {
  const scratch = mkdtempSync(join(tmpdir(), 'sallyport-bench-'))
  try {
    const result = await benchAll(scratch)
    process.stdout.write(`\n${describe(result)}`)
    if (values['no-keep'] || values.only !== undefined) return
    const folder = fileURLToPath(new URL('../../bench/results', import.meta.url))
    say(`kept in ${keep(result, folder)}`)
  } finally {
    stopEverything()
    rmSync(scratch, { recursive: true, force: true })
  }
}

process.once('SIGINT', () => {
  stopEverything()
  process.exit(130)
})

if (values.help) process.stdout.write(USAGE)
else await main()
