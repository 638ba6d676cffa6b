import type { Command } from 'commander'
import { loadConfiguration } from '../config/load.ts'
import { didYouMean } from '../core/nearest.ts'
import { askEngine, type EngineTrial } from '../start/ask-engine.ts'
import { type ConfigurationOption, configurationOption, printFindings } from './configuration-file.ts'
import { type CommandIo, type Done, EXIT } from './io.ts'
import { silentLog } from './log.ts'

interface EngineTestOptions extends ConfigurationOption {
  readonly subject: string
  readonly action: string
  readonly resource: string
  readonly json?: boolean
}

export const addEngine = (program: Command, io: CommandIo, done: Done): void => {
  const engine = program.command('engine').description('Policy engines.').helpCommand(false)
  configurationOption(engine.command('test'))
    .argument('<name>', 'the engine, as the configuration calls it')
    .description('Asks an engine one question, and prints its answer, its version and how long it took.')
    .option('--subject <Type::id>', 'who acts', 'User::sallyport-engine-test')
    .option('--action <name>', 'the action', 'test')
    .option('--resource <Type::id>', 'on what', 'Test::test')
    .option('--json', 'print {engine, type, answer, failure, policyVersion, latencyMs}')
    .addHelpText(
      'after',
      '\nExits 0 when it answers, be it with a deny, 1 when it does not, 2 for bad usage or configuration.',
    )
    .action(async (name: string, options: EngineTestOptions) => {
      const subject = typeAndId(options.subject)
      const resource = typeAndId(options.resource)
      if (subject === null || resource === null) {
        io.err('expected Type::id, such as User::alice\n')
        return done(EXIT.usage)
      }
      const { env, clock } = io
      const loaded = await loadConfiguration(options.config, { env, clock, log: silentLog })
      if (loaded.configuration === null) {
        printFindings(loaded.findings, io, options.json === true)
        return done(EXIT.usage)
      }
      const question = { subject, action: { name: options.action }, resource, context: {} }
      const trial = await askEngine(loaded.configuration, name, question, clock)
      if (trial === null) {
        const known = new Set(loaded.configuration.engines.keys())
        io.err(`there is no engine ${JSON.stringify(name)}${didYouMean(name, known)}\n`)
        return done(EXIT.usage)
      }
      io.out(options.json === true ? `${JSON.stringify(trial, null, 2)}\n` : render(trial))
      done(trial.answer === null ? EXIT.findings : EXIT.ok)
    })
}

const typeAndId = (text: string): { readonly type: string; readonly id: string } | null => {
  const at = text.lastIndexOf('::')
  const type = text.slice(0, Math.max(at, 0))
  const id = text.slice(at + 2)
  return at === -1 || type === '' || id === '' ? null : { type, id }
}

const render = ({ engine, type, answer, failure, policyVersion, latencyMs }: EngineTrial): string => {
  const rows: readonly (readonly [string, string | null])[] = [
    ['engine', `${engine} (${type})`],
    ['answer', answer?.decision ?? 'none'],
    ['because', failure ?? (answer?.reasons.join(', ') || null)],
    ['said', answer?.adminReason ?? null],
    ['errors', answer?.errors.join('; ') || null],
    ['version', policyVersion],
    ['latency', `${latencyMs} ms`],
  ]
  return rows.flatMap(([label, text]) => (text === null ? [] : [`${label.padEnd(10)}${text}\n`])).join('')
}
