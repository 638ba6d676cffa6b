import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, copyFileSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const BIN = fileURLToPath(new URL('../../bin/sallyport', import.meta.url))
const DEADLINE_MS = 10 * 60_000
const POLL_MS = 50

/** One command over a decision log. */
export interface LogRun {
  readonly records: number
  readonly megabytes: number
  readonly seconds: number
  /** The most memory that the process held. */
  readonly peakMegabytes: number
}

export interface Logs {
  readonly verify: LogRun
  readonly replay: LogRun
}

/**
 * How fast a log is verified and replayed, and in how much memory.
 *
 * @param log a decision log as a gateway wrote it.
 * @param records how many the replayed log has: the log's own, over and over.
 */
export const measureLogs = async (
  { log, configurationFile }: { readonly log: string; readonly configurationFile: string },
  records: number,
  scratch: string,
): Promise<Logs> => {
  const lines = countLines(log)
  const verify = await run(['audit', 'verify', log], log, lines)
  const long = join(scratch, 'long.ndjson')
  copyFileSync(log, long)
  const content = readFileSync(log)
  let written = lines
  for (; written < records; written += lines) appendFileSync(long, content)
  const replay = await run(['replay', long, '--config', configurationFile], long, written)
  return { verify, replay }
}

const countLines = (file: string): number => {
  let lines = 0
  for (const byte of readFileSync(file)) if (byte === 0x0a) lines += 1
  return lines
}

const run = async (args: readonly string[], log: string, records: number): Promise<LogRun> => {
  const startedMs = performance.now()
  const child = spawn(process.execPath, [BIN, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, BENCH_ADMIN_TOKEN: 'a-token-of-the-bench-that-nobody-uses' },
    timeout: DEADLINE_MS,
  })
  let said = ''
  child.stderr.on('data', (chunk: Buffer) => {
    said = `${said}${chunk.toString('utf8')}`.slice(-2000)
  })
  let peakMegabytes = 0
  const look = setInterval(() => {
    peakMegabytes = Math.max(peakMegabytes, peakOf(child.pid ?? 0))
  }, POLL_MS)
  const [code] = await once(child, 'exit')
  clearInterval(look)
  if (code !== 0) throw new Error(`sallyport ${args[0]} ended with ${String(code)}: ${said}`)
  const seconds = (performance.now() - startedMs) / 1000
  return { records, megabytes: statSync(log).size / 1e6, seconds, peakMegabytes }
}

/** `VmHWM`, the high-water mark; zero when the process has just ended. */
const peakOf = (pid: number): number => {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'utf8')
    return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1] ?? 0) / 1024
  } catch {
    return 0
  }
}
