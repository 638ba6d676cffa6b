import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { findCommand, pinned } from './processes.ts'
import { HOST } from './world.ts'

/** Where a load goes and what it brings. */
export interface Aim {
  readonly port: number
  readonly path: string
  /** Brought in turn, one with each request; a single one is brought by all. A tab parts a token from its DPoP proof. */
  readonly tokens: readonly string[]
}

/** What one run of a load saw; latencies in microseconds. */
export interface Load {
  readonly requests: number
  readonly requestsPerSecond: number
  readonly p50Us: number
  readonly p99Us: number
}

const require = createRequire(import.meta.url)

const exec = (command: readonly string[], timeoutMs: number): Promise<string> => {
  const [file, args] = pinned('surroundings', command)
  return new Promise((resolve, reject) => {
    execFile(file, args, { timeout: timeoutMs, maxBuffer: 16 * 1024 * 1024 }, (error, stdout) => {
      if (error === null) resolve(stdout)
      else reject(error)
    })
  })
}

// Tokens are read from a file, since arguments have an end. Answers but 2xx and 3xx are counted as errors.
const wrkScript = (tokensFile: string): string => `local tokens = {}
local at = 0
function init()
  for line in io.lines("${tokensFile}") do tokens[#tokens + 1] = line end
  wrk.headers["Host"] = "${HOST}"
end
function request()
  at = at % #tokens + 1
  local token, proof = string.match(tokens[at], "^([^\t]*)\t?(.*)$")
  if proof == "" then
    wrk.headers["Authorization"] = "Bearer " .. token
  else
    wrk.headers["Authorization"] = "DPoP " .. token
    wrk.headers["DPoP"] = proof
  end
  return wrk.format()
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format('\\nRESULT {"requests":%d,"durationUs":%d,"errors":%d,"p50Us":%d,"p99Us":%d}\\n',
    summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
`

const runWrk = async (wrk: string, { port, path, tokens }: Aim, options: LoadOptions): Promise<Load> => {
  const { seconds, connections, scratch } = options
  const tokensFile = join(scratch, 'tokens.txt')
  const script = join(scratch, 'load.lua')
  writeFileSync(tokensFile, `${tokens.join('\n')}\n`)
  writeFileSync(script, wrkScript(tokensFile))
  const command = [
    wrk,
    '-t1',
    `-c${connections}`,
    `-d${seconds}s`,
    // What is slow is measured, not given up: the default is 2 s, which a subject that has just started may take.
    '--timeout',
    '30s',
    '-s',
    script,
    `http://127.0.0.1:${port}${path}`,
  ]
  const output = await exec(command, (seconds + 30) * 1000)
  const line = /^RESULT (.*)$/m.exec(output)?.[1]
  if (line === undefined) throw new Error(`wrk said no result:\n${output}`)
  const { requests, durationUs, errors, p50Us, p99Us } = JSON.parse(line) as Readonly<Record<string, number>>
  return judge({ requests, errors, seconds: (durationUs ?? 0) / 1e6, p50Us, p99Us }, tokens)
}

const runAutocannon = async ({ port, path, tokens }: Aim, options: LoadOptions): Promise<Load> => {
  if (tokens.length > 1)
    throw new Error('a token with each request needs wrk: install it, or bench --install')
  const { seconds, connections } = options
  const headers = [`Host=${HOST}`, `Authorization=Bearer ${tokens[0]}`].flatMap((header) => ['-H', header])
  const output = await exec(
    [
      process.execPath,
      require.resolve('autocannon'),
      ...['-j', '-c', String(connections), '-d', String(seconds)],
      ...headers,
      `http://127.0.0.1:${port}${path}`,
    ],
    (seconds + 30) * 1000,
  )
  const result = JSON.parse(output) as {
    readonly requests: { readonly total: number }
    readonly latency: { readonly p50: number; readonly p99: number }
    readonly duration: number
    readonly errors: number
    readonly non2xx: number
  }
  const { requests, latency, duration, errors, non2xx } = result
  return judge(
    {
      requests: requests.total,
      errors: errors + non2xx,
      seconds: duration,
      p50Us: latency.p50 * 1000,
      p99Us: latency.p99 * 1000,
    },
    tokens,
  )
}

interface Raw {
  readonly requests: number | undefined
  readonly errors: number | undefined
  readonly seconds: number
  readonly p50Us: number | undefined
  readonly p99Us: number | undefined
}

// A figure over refusals would flatter, and so would one over tokens that came twice.
const judge = (
  { requests = 0, errors = 0, seconds, p50Us = 0, p99Us = 0 }: Raw,
  tokens: readonly string[],
): Load => {
  if (requests === 0) throw new Error('no request was answered')
  if (errors > 0) throw new Error(`${errors} of ${requests} requests failed or were refused`)
  if (tokens.length > 1 && requests > tokens.length)
    throw new Error(`${requests} requests, but only ${tokens.length} tokens: some were brought twice`)
  return { requests, requestsPerSecond: requests / seconds, p50Us, p99Us }
}

export interface LoadOptions {
  readonly seconds: number
  readonly connections: number
  /** A directory for files of the load generator. */
  readonly scratch: string
}

/** The load generator of closed loops: `wrk` where it is installed, else `autocannon` (whole milliseconds only). */
export const closedLoopGenerator = (): 'wrk' | 'autocannon' =>
  findCommand('wrk') === null ? 'autocannon' : 'wrk'

/** As many requests as come back, over so many connections. @throws Error when any is not answered by 2xx or 3xx. */
export const closedLoop = (aim: Aim, options: LoadOptions): Promise<Load> => {
  const wrk = findCommand('wrk')
  return wrk === null ? runAutocannon(aim, options) : runWrk(wrk, aim, options)
}
