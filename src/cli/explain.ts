import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import type { Command } from 'commander'
import type { JsonObject } from '../core/json.ts'
import type { Explanation } from '../gateway/explain.ts'
import type { PastExplanation } from '../gateway/explain-record.ts'
import { type AskedRequest, describedRequest } from '../gateway/explain-request.ts'
import type { NotStarted } from '../start/options.ts'
import { explainDecision, explainRequest } from '../start.ts'
import { type ConfigurationOption, configurationOption, printFindings } from './configuration-file.ts'
import { renderExplanation } from './explain-render.ts'
import { type CommandIo, type Done, EXIT } from './io.ts'
import { silentLog } from './log.ts'

interface ExplainOptions extends ConfigurationOption {
  readonly header: readonly string[]
  readonly data?: string
  readonly claims?: string
  readonly ip?: string
  readonly decision?: string
  readonly log?: string
  readonly json?: boolean
}

export const addExplain = (program: Command, io: CommandIo, done: Done): void => {
  configurationOption(program.command('explain'))
    .argument('[method]')
    .argument('[url]', 'absolute, as a client would send it; it is not normalised')
    .description('Takes a request the whole way, stage by stage, without forwarding or recording it.')
    .option('-H, --header <header>', "a request header, 'Name: value'; may be given again", collect, [])
    .option('--data <file>', 'the request body')
    .option('--claims <json>', 'claims to take as verified, instead of a credential')
    .option(
      '--ip <address>',
      'whose connection it comes by: the caller or a proxy of trustedProxies; default 127.0.0.1',
    )
    .option('--decision <id>', 'explain a recorded decision instead of a request')
    .option('--log <file>', 'the decision log that has it; default those of the configuration')
    .option('--json', 'print {route, subject, accessRequest, decision, code, source, reasons, …}')
    .addHelpText('after', '\nExits 0 for an allow, 1 for a deny, 2 for bad usage or configuration.')
    .action(async (method: string | undefined, url: string | undefined, options: ExplainOptions) => {
      const explained = await explainAsked(method, url, options, io)
      if (typeof explained === 'string') {
        io.err(`${explained}\n`)
        return done(EXIT.usage)
      }
      if ('findings' in explained) {
        printFindings(explained.findings, io, options.json === true)
        return done(EXIT.usage)
      }
      io.out(options.json === true ? `${JSON.stringify(explained, null, 2)}\n` : renderExplanation(explained))
      done(explained.decision === 'allow' ? EXIT.ok : EXIT.findings)
    })
}

/** The explanation, what is wrong with the configuration, or how the command is used. */
const explainAsked = async (
  method: string | undefined,
  url: string | undefined,
  options: ExplainOptions,
  { env, clock }: CommandIo,
): Promise<Explanation | PastExplanation | NotStarted | string> => {
  const start = { file: options.config, env, clock, log: silentLog }
  const { decision, log = null } = options
  if (decision !== undefined) {
    if (method !== undefined) return 'found a request and --decision, expected one of them'
    try {
      const past = await explainDecision(start, decision, log)
      return past ?? `no log has a decision ${decision}; --log names others than those of the configuration`
    } catch (error) {
      if (!(error instanceof Error && 'syscall' in error)) throw error
      return `the log cannot be read: ${error.message}`
    }
  }
  if (method === undefined || url === undefined)
    return 'expected METHOD URL, such as GET https://bank.example.com/accounts/42, or --decision ID'
  const asked = readQuestion(method, url, options)
  return 'mistake' in asked ? asked.mistake : explainRequest(start, asked)
}

const collect = (value: string, previous: readonly string[]): readonly string[] => [...previous, value]

const readQuestion = (
  method: string,
  url: string,
  options: ExplainOptions,
): AskedRequest | { readonly mistake: string } => {
  const headers = readHeaders(options.header)
  if (typeof headers === 'string') return { mistake: headers }
  const claims = readClaims(options.claims)
  if (typeof claims === 'string') return { mistake: claims }
  const body = readBody(options.data)
  if (typeof body === 'string') return { mistake: body }
  const { ip } = options
  if (ip !== undefined && isIP(ip) === 0) return { mistake: `--ip: found '${ip}', expected an IP address` }
  return describedRequest({ method, url, headers, body, claims, ...(ip === undefined ? {} : { ip }) })
}

const readHeaders = (lines: readonly string[]): readonly string[] | string => {
  const headers: string[] = []
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (colon < 1) return `--header: found '${line.slice(0, 20)}', expected 'Name: value'`
    headers.push(line.slice(0, colon).trim(), line.slice(colon + 1).trim())
  }
  return headers
}

const readClaims = (text: string | undefined): JsonObject | null | string => {
  if (text === undefined) return null
  try {
    const claims: unknown = JSON.parse(text)
    if (typeof claims === 'object' && claims !== null && !Array.isArray(claims)) return claims as JsonObject
  } catch {
    // Said below, the same as for JSON of another type.
  }
  return '--claims: expected a JSON object, such as \'{"sub":"alice"}\''
}

const readBody = (file: string | undefined): Buffer | null | string => {
  if (file === undefined) return null
  try {
    return readFileSync(file)
  } catch (error) {
    return `--data: cannot read ${file}: ${error instanceof Error ? error.message : String(error)}`
  }
}
