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

/** Prints findings: a line each for people, or `{"findings":[…]}`. */
export const printFindings = (findings: readonly Finding[], io: CommandIo, json: boolean): void => {
  if (json) io.out(`${JSON.stringify({ findings })}\n`)
  else for (const finding of findings) io.err(`${formatFinding(finding)}\n`)
}
