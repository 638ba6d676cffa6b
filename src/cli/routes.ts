import type { Command } from 'commander'
import { loadConfiguration } from '../config/load.ts'
import { type RouteRow, routeRow } from '../config/route-rows.ts'
import { type ConfigurationOption, configurationOption, printFindings } from './configuration-file.ts'
import { type CommandIo, type Done, EXIT } from './io.ts'
import { silentLog } from './log.ts'

interface RoutesOptions extends ConfigurationOption {
  readonly json?: boolean
}

const COLUMNS = [
  'methods',
  'host',
  'path',
  'name',
  'access',
  'authenticate',
  'engine',
  'upstream',
  'owner',
  'source',
] as const

const renderTable = (rows: readonly RouteRow[]): string => {
  const header = Object.fromEntries(COLUMNS.map((column) => [column, column.toUpperCase()]))
  const lines = [header, ...rows] as readonly Record<string, string>[]
  const widths = COLUMNS.map((column) => Math.max(...lines.map((line) => (line[column] ?? '').length)))
  return lines
    .map((line) =>
      COLUMNS.map((column, index) => (line[column] ?? '').padEnd(widths[index] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

export const addRoutes = (program: Command, io: CommandIo, done: Done): void => {
  configurationOption(program.command('routes'))
    .description('Prints the route map as a table.')
    .option('--json', 'print {"routes":[…]}')
    .action(async (options: RoutesOptions) => {
      const { configuration, findings } = await loadConfiguration(options.config, {
        env: io.env,
        clock: io.clock,
        log: silentLog,
      })
      if (configuration === null) {
        printFindings(findings, io, options.json === true)
        return done(EXIT.usage)
      }
      const rows = configuration.routes.map(routeRow)
      io.out(options.json === true ? `${JSON.stringify({ routes: rows })}\n` : `${renderTable(rows)}\n`)
    })
}
