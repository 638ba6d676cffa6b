import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { displayPath } from '../config/format-finding.ts'
import type { Finding } from '../core/problem.ts'
import type { Coverage, TestResult } from '../start/decision-tests.ts'
import { type TestRun, testConfiguration } from '../start/test-configuration.ts'
import { type ConfigurationOption, configurationOption, printFindings } from './configuration-file.ts'
import { type CommandIo, type Done, EXIT } from './io.ts'
import { asJUnit } from './junit.ts'
import { silentLog } from './log.ts'
import { watchAgain } from './watch-again.ts'

interface TestOptions extends ConfigurationOption {
  readonly coverage?: boolean
  readonly junit?: string
  readonly watch?: boolean
  readonly json?: boolean
}

const HELP = `
Without FILES: *.test.yaml beside the gateway file and beside each route map, and the YAML files of a folder
tests there. Exits 0 when all pass, 1 when one fails, 2 when the configuration or a test cannot be read, or when
there is no test.`

export const addTest = (program: Command, io: CommandIo, done: Done): void => {
  configurationOption(program.command('test'))
    .argument('[files...]', 'files of decision tests')
    .description('Runs decision tests: requests, and what must be decided about them.')
    .option('--coverage', 'tell which routes no test came to, and which policies determined no decision')
    .option('--junit <file>', 'write the results as JUnit XML too')
    .option('-w, --watch', 'run again whenever a file changes')
    .option('--json', 'print {"findings":[…], "passed", "failed", "tests":[…], "coverage"}')
    .addHelpText('after', HELP)
    .action(async (files: readonly string[], options: TestOptions) => {
      const run = () => runOnce(files, options, io)
      if (options.watch === true) return done(await watchAgain(run, io))
      done((await run()).exitCode)
    })
}

const runOnce = async (
  files: readonly string[],
  options: TestOptions,
  io: CommandIo,
): Promise<{ readonly exitCode: number; readonly isCurrent: () => boolean }> => {
  const { env, clock } = io
  const asked = files.length === 0 ? null : files.map((file) => resolve(file))
  const start = { file: options.config, env, clock, log: silentLog }
  const run = await testConfiguration(start, asked)
  const exitCode = report(run, options, io)
  return { exitCode, isCurrent: run.isCurrent }
}

const report = (run: TestRun, options: TestOptions, io: CommandIo): number => {
  const { results, coverage } = run
  const json = options.json === true
  if (results === null || coverage === null) {
    printFindings(run.findings, io, json)
    return EXIT.usage
  }
  if (results.length === 0) {
    if (json) io.out(`${JSON.stringify({ findings: [], passed: 0, failed: 0, tests: [] })}\n`)
    io.err('no decision test was found; sallyport test --help says where they are looked for\n')
    return EXIT.usage
  }
  const unwritten = options.junit === undefined ? null : writeJUnit(options.junit, results)
  const failures = results.flatMap(({ findings }) => findings)
  const missed = options.coverage === true ? missedFindings(coverage, options.config) : []
  if (json) io.out(`${JSON.stringify(asJson(results, [...failures, ...missed], coverage))}\n`)
  else {
    printFindings([...failures, ...missed], io, false, io.out)
    io.out(summary(results, options.coverage === true ? coverage : null))
  }
  if (unwritten !== null) {
    io.err(`--junit: ${unwritten}\n`)
    return EXIT.usage
  }
  return failures.length === 0 ? EXIT.ok : EXIT.findings
}

const writeJUnit = (file: string, results: readonly TestResult[]): string | null => {
  try {
    writeFileSync(file, asJUnit(results))
    return null
  } catch (error) {
    return `cannot write ${file}: ${error instanceof Error ? error.message : String(error)}`
  }
}

const missedFindings = ({ routes, policies }: Coverage, config: string): readonly Finding[] => [
  ...routes.missed.map(({ name, file, line }): Finding => {
    const message = `no test comes to the route ${name}`
    return { severity: 'warning', rule: 'untested-route', file, line, column: 1, message }
  }),
  ...policies.missed.map(({ engine, id }): Finding => {
    const message = `no test is decided by the policy ${id} of the engine ${engine}`
    return {
      severity: 'warning',
      rule: 'untested-policy',
      file: resolve(config),
      line: 1,
      column: 1,
      message,
    }
  }),
]

const asJson = (
  results: readonly TestResult[],
  findings: readonly Finding[],
  coverage: Coverage,
): object => ({
  findings,
  passed: results.filter((result) => result.findings.length === 0).length,
  failed: results.filter((result) => result.findings.length > 0).length,
  tests: results.map(({ test, explained, findings: failed }) => ({
    name: test.name,
    file: test.file,
    line: test.line,
    passed: failed.length === 0,
    route: explained?.route ?? null,
    decision: explained?.decision ?? null,
    code: explained?.code ?? null,
    reasons: explained?.reasons ?? [],
  })),
  coverage,
})

const summary = (results: readonly TestResult[], coverage: Coverage | null): string => {
  const failed = results.filter(({ findings }) => findings.length > 0).length
  const files = new Set(results.map(({ test }) => displayPath(test.file, process.cwd())))
  const lines = [`${results.length - failed} passed, ${failed} failed, in ${[...files].join(', ')}`]
  if (coverage !== null) {
    lines.push(covered('routes', coverage.routes), covered('policies', coverage.policies))
  }
  return `${lines.join('\n')}\n`
}

const covered = (
  what: string,
  part: { readonly total: number; readonly missed: readonly unknown[] },
): string => `${part.total - part.missed.length} of ${part.total} ${what} are tested`
