import type { Command } from 'commander'
import { formatFinding } from '../config/format-finding.ts'
import type { Finding } from '../core/problem.ts'
import type { CommandIo } from './io.ts'

export const DEFAULT_CONFIGURATION_FILE = 'config/sallyport.yaml'

export interface ConfigurationOption {
  readonly config: string
}

export const configurationOption = (command: Command): Command =>
  command.option('-c, --config <file>', 'the gateway configuration', DEFAULT_CONFIGURATION_FILE)

/**
 * Prints findings: `{"findings":[…]}` on standard output, or a line each for people.
 *
 * @param to standard error, except for a command whose output the findings are.
 */
export const printFindings = (
  findings: readonly Finding[],
  io: CommandIo,
  json: boolean,
  to: CommandIo['out'] = io.err,
): void => {
  if (json) io.out(`${JSON.stringify({ findings })}\n`)
  else for (const finding of findings) to(`${formatFinding(finding)}\n`)
}
