import { Presets, SingleBar } from 'cli-progress'
import type { Command } from 'commander'
import { type Replay, replay } from '../start/replay/replay.ts'
import { OUTCOMES } from '../start/replay/verdict.ts'
import { printFindings } from './configuration-file.ts'
import { type CommandIo, type Done, EXIT } from './io.ts'
import { silentLog } from './log.ts'
import { replayAsMarkdown, replayAsText } from './replay-report.ts'

interface ReplayCommand {
  readonly config: string
  readonly json?: boolean
  readonly markdown?: boolean
  readonly failOnChange?: boolean
  readonly threads?: string
}

const HELP = `
Exits 0 when the log was replayed, 1 with --fail-on-change when the draft decides otherwise, 2 for bad usage, or
when the draft or a log cannot be read. See docs/replay.md for what a record tells, and what it does not.`

export const addReplay = (program: Command, io: CommandIo, done: Done): void => {
  program
    .command('replay')
    .argument('<logs...>', 'decision logs; the parts that one was rotated to are read too')
    .requiredOption('-c, --config <draft>', 'the gateway file of the draft')
    .description('Decides recorded requests again under a draft of route maps and policies.')
    .option('--json', 'print {newlyAllowed, newlyDenied, unmapped, changed, unchanged, undecidable, …}')
    .option('--markdown', 'print a report for a pull request')
    .option('--fail-on-change', 'exit 1 when a decision is another one under the draft')
    .option('--threads <count>', 'threads that decide, default one a core')
    .addHelpText('after', HELP)
    .action(async (logs: readonly string[], options: ReplayCommand) => {
      const threads = options.threads === undefined ? undefined : Number(options.threads)
      if (threads !== undefined && !(Number.isInteger(threads) && threads >= 0)) {
        io.err('--threads: expected a whole number\n')
        return done(EXIT.usage)
      }
      const progress = progressBar()
      const { env, clock } = io
      const replayed = await replay({
        file: options.config,
        env,
        clock,
        log: silentLog,
        logs,
        wantsIds: options.json === true,
        ...(threads === undefined ? {} : { threads }),
        onProgress: progress.update,
      })
      progress.stop()
      if ('findings' in replayed) {
        printFindings(replayed.findings, io, options.json === true)
        return done(EXIT.usage)
      }
      if ('unreadable' in replayed) {
        io.err(`sallyport replay: ${replayed.unreadable} cannot be read: ${replayed.code}\n`)
        return done(EXIT.usage)
      }
      if (options.json === true) printJson(replayed, io.out)
      else io.out(options.markdown === true ? replayAsMarkdown(replayed) : replayAsText(replayed))
      done(options.failOnChange === true && changes(replayed) > 0 ? EXIT.findings : EXIT.ok)
    })
}

const changes = ({ counts, newlyUnmapped }: Replay): number =>
  counts.newlyAllowed + counts.newlyDenied + counts.changed + newlyUnmapped

/** Only where somebody watches. */
const progressBar = (): {
  readonly update: (bytes: number, total: number) => void
  readonly stop: () => void
} => {
  if (process.stderr.isTTY !== true) return { update: () => undefined, stop: () => undefined }
  const format = 'replay [{bar}] {percentage}% | {value}/{total} MB | {eta_formatted}'
  const bar = new SingleBar({ format, stream: process.stderr, hideCursor: true }, Presets.shades_classic)
  const megabytes = (bytes: number): number => Math.round(bytes / 1e6)
  let started = false
  return {
    update: (bytes, total) => {
      if (!started) bar.start(megabytes(total), 0)
      started = true
      bar.update(megabytes(bytes))
    },
    stop: () => bar.stop(),
  }
}

/** A piece at a time: the ids of a long log are more than one text should hold. */
const printJson = (replayed: Replay, out: (text: string) => void): void => {
  const { ids, ...rest } = replayed
  out('{')
  for (const outcome of OUTCOMES) {
    out(`${JSON.stringify(outcome)}:[`)
    let separator = ''
    for (const piece of ids?.[outcome] ?? []) {
      const listed = piece
        .slice(0, -1)
        .split(',')
        .map((id) => JSON.stringify(id))
      out(separator + listed.join(','))
      separator = ','
    }
    out('],')
  }
  out(`${JSON.stringify(rest).slice(1)}\n`)
}
