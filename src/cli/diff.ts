import type { Command } from 'commander'
import { type Comparison, compareConfigurations } from '../start/compare-configurations.ts'
import type { Change, NamedChanges } from '../start/compare-values.ts'
import { printFindings } from './configuration-file.ts'
import { type CommandIo, type Done, EXIT } from './io.ts'
import { silentLog } from './log.ts'

const HELP = `
Order, comments, defaults that are spelled out and other ways to write the same are no differences: other units,
spellings of address ranges, or paths to the same file. A file that holds something else is one.
Exits 0 when both mean the same, 1 when they do not, 2 when one of them cannot be read.`

export const addDiff = (program: Command, io: CommandIo, done: Done): void => {
  program
    .command('diff')
    .argument('<before>', 'a gateway file')
    .argument('<after>', 'another gateway file')
    .description('Compares two configurations by what they mean.')
    .option('--json', 'print {routes, policies, authenticators, engines, upstreams, settings}')
    .addHelpText('after', HELP)
    .action(async (before: string, after: string, options: { readonly json?: boolean }) => {
      const { env, clock } = io
      const compared = await compareConfigurations(before, after, { env, clock, log: silentLog })
      if ('findings' in compared) {
        printFindings(compared.findings, io, options.json === true)
        return done(EXIT.usage)
      }
      const lines = KINDS.flatMap(([kind, key]) => namedLines(kind, compared[key]))
      lines.push(...compared.settings.map((change) => `~ ${changeText(change)}`))
      if (options.json === true) io.out(`${JSON.stringify(compared, null, 2)}\n`)
      else io.out(lines.length === 0 ? 'they mean the same\n' : `${lines.join('\n')}\n`)
      done(lines.length === 0 ? EXIT.ok : EXIT.findings)
    })
}

const KINDS: readonly (readonly [string, Exclude<keyof Comparison, 'settings'>])[] = [
  ['route', 'routes'],
  ['policy', 'policies'],
  ['authenticator', 'authenticators'],
  ['engine', 'engines'],
  ['upstream', 'upstreams'],
]

const namedLines = (kind: string, { added, removed, changed }: NamedChanges): readonly string[] => [
  ...removed.map((name) => `- ${kind} ${name}`),
  ...added.map((name) => `+ ${kind} ${name}`),
  ...changed.flatMap(({ name, changes }) =>
    kind === 'policy'
      ? [`~ ${kind} ${name}`]
      : changes.map((change) => `~ ${kind} ${name}: ${changeText(change)}`),
  ),
]

const changeText = ({ at, from, to }: Change): string => `${at}: ${text(from)} -> ${text(to)}`

const text = (value: unknown): string => {
  if (value === undefined) return 'nothing'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
