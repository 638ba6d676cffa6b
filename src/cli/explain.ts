import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import type { JsonObject } from '../core/json.ts'
import type { Explanation } from '../gateway/explain.ts'
import { type AskedRequest, describedRequest } from '../gateway/explain-request.ts'
import { explainRequest } from '../start.ts'
import { type ConfigurationOption, configurationOption, printFindings } from './configuration-file.ts'
import { type CommandIo, type Done, EXIT } from './io.ts'
import { silentLog } from './log.ts'

interface ExplainOptions extends ConfigurationOption {
  readonly header: readonly string[]
  readonly data?: string
  readonly claims?: string
  readonly json?: boolean
}

export const addExplain = (program: Command, io: CommandIo, done: Done): void => {
  configurationOption(program.command('explain'))
    .argument('<method>')
    .argument('<url>', 'absolute, as a client would send it; it is not normalised')
    .description('Takes a request the whole way, stage by stage, without forwarding or recording it.')
    .option('-H, --header <header>', "a request header, 'Name: value'; may be given again", collect, [])
    .option('--data <file>', 'the request body')
    .option('--claims <json>', 'claims to take as verified, instead of a credential')
    .option('--json', 'print {route, subject, accessRequest, decision, code, source, reasons, …}')
    .addHelpText('after', '\nExits 0 for an allow, 1 for a deny, 2 for bad usage or configuration.')
    .action(async (method: string, url: string, options: ExplainOptions) => {
      const asked = readQuestion(method, url, options)
      if ('mistake' in asked) {
        io.err(`${asked.mistake}\n`)
        return done(EXIT.usage)
      }
      const { env, clock } = io
      const explained = await explainRequest({ file: options.config, env, clock, log: silentLog }, asked)
      if ('findings' in explained) {
        printFindings(explained.findings, io, options.json === true)
        return done(EXIT.usage)
      }
      io.out(options.json === true ? `${JSON.stringify(explained, null, 2)}\n` : render(explained))
      done(explained.decision === 'allow' ? EXIT.ok : EXIT.findings)
    })
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
  return describedRequest({ method, url, headers, body, claims })
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

const render = (explanation: Explanation): string => {
  const { request, upstream, credential } = explanation
  const rows: readonly (readonly [string, string | null])[] = [
    ['request', `${request.method} ${request.host}${request.path} from ${request.ip}`],
    ['route', explanation.route === null ? null : `${explanation.route} (owner ${explanation.owner})`],
    [
      'credential',
      credential === null ? null : `${credential.type} by ${credential.authenticator}, ${credential.id}`,
    ],
    ['subject', explanation.subject === null ? null : JSON.stringify(explanation.subject)],
    ['read', explanation.inputs === null ? null : JSON.stringify(explanation.inputs)],
    ['asked', explanation.accessRequest === null ? null : JSON.stringify(explanation.accessRequest)],
    [
      'engine',
      explanation.engine === null ? null : `${explanation.engine} ${explanation.policyVersion ?? ''}`,
    ],
    ['decision', `${explanation.decision} (${explanation.code}) by ${explanation.source}`],
    ['reasons', explanation.reasons.length === 0 ? null : explanation.reasons.join(', ')],
    ['errors', explanation.errors.length === 0 ? null : explanation.errors.join('; ')],
    ['because', explanation.detail],
    ['upstream', upstream === null ? null : `${upstream.name} ${upstream.target}`],
  ]
  return rows.map(([label, text]) => `${label.padEnd(11)}${text ?? '-'}\n`).join('')
}
