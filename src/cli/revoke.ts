import type { Command } from 'commander'
import type { JsonObject } from '../core/json.ts'
import { askAdmin } from './admin-client.ts'
import { type CommandIo, type Done, EXIT } from './io.ts'

interface RevokeOptions {
  readonly admin: string
  readonly subject?: string
  readonly credential?: string
  readonly session?: string
  readonly task?: string
  readonly resource?: string
  readonly grant?: string
  readonly all?: boolean
  readonly effect: string
  readonly reason: string
  readonly expires?: string
  readonly list?: boolean
  readonly withdraw?: string
  readonly json?: boolean
}

export const DEFAULT_ADMIN = 'http://127.0.0.1:9901'

export const addRevoke = (program: Command, io: CommandIo, done: Done): void => {
  program
    .command('revoke')
    .description(
      'Takes grants back at once, or refuses what was authenticated before now, by the admin port.',
    )
    .option('--admin <url>', 'the admin port; its token is in SALLYPORT_ADMIN_TOKEN', DEFAULT_ADMIN)
    .option('--subject <entity>', 'of this subject, such as User::alice')
    .option('--credential <id>', 'of this credential, by its id in the decision log')
    .option('--session <id>', 'of this session')
    .option('--task <id>', 'of this task')
    .option('--resource <entity>', 'on this resource, such as Account::42')
    .option('--grant <id>', 'this grant, by its id in the decision log')
    .option('--all', 'of everybody')
    .option('--effect <effect>', 'grants: decide again; credentials: also refuse with 401', 'grants')
    .option('--reason <text>', 'why; goes into the decision log', '')
    .option('--expires <time>', 'until when credentials are refused, such as 2026-11-23T22:10:00Z')
    .option('--list', 'show the marks in force instead')
    .option('--withdraw <id>', 'take this mark back instead')
    .option('--json', 'print what the admin port answers')
    .addHelpText(
      'after',
      '\nExits 0 when it is in force, 1 when the admin port refused or did not answer, 2 for bad usage.',
    )
    .action(async (options: RevokeOptions) => done(await revoke(options, io)))
}

const revoke = async (options: RevokeOptions, io: CommandIo): Promise<number> => {
  const { admin, json, list, withdraw, expires, effect, reason, ...rest } = options
  const { subject, credential, session, task, resource, grant, all } = rest
  const about = defined({ subject, credential, session, task, resource, grant, all })
  const wanted = Object.keys(about).length + (list === true ? 1 : 0) + (withdraw === undefined ? 0 : 1)
  if (wanted !== 1) {
    io.err('sallyport revoke: expected one of --subject, --credential, --session, --task, --resource, ')
    io.err('--grant, --all, --list and --withdraw\n')
    return EXIT.usage
  }
  const path = '/v1/revocations'
  const call =
    list === true
      ? ({ admin, method: 'GET', path } as const)
      : withdraw !== undefined
        ? ({ admin, method: 'DELETE', path: `${path}/${encodeURIComponent(withdraw)}` } as const)
        : ({ admin, method: 'POST', path, body: defined({ ...about, effect, reason, expires }) } as const)
  const answer = await askAdmin(call, io)
  if ('mistake' in answer) {
    io.err(`sallyport revoke: ${answer.mistake}\n`)
    return EXIT.findings
  }
  if (json === true) io.out(`${JSON.stringify(answer.json)}\n`)
  else io.out(list === true ? renderList(answer.json) : renderMark(answer.json, withdraw !== undefined))
  return EXIT.ok
}

const defined = (fields: Readonly<Record<string, string | boolean | undefined>>): JsonObject =>
  Object.fromEntries(
    Object.entries(fields).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  )

const KINDS = ['subject', 'credential', 'session', 'task', 'resource', 'grant', 'all']

const lineOf = (mark: JsonObject): string => {
  const kind = KINDS.find((each) => mark[each] !== undefined) ?? ''
  const about = kind === 'all' ? 'all' : `${kind} ${mark[kind]}`
  return `${mark.id}  ${about}  effect ${mark.effect}  by ${mark.by}  until ${mark.expires}  ${mark.reason}`
}

const renderMark = (mark: JsonObject, isWithdrawal: boolean): string => {
  const { replicas, warning } = mark
  const seen =
    typeof replicas === 'object' && replicas !== null
      ? `applied by ${Reflect.get(replicas, 'applied')} of ${Reflect.get(replicas, 'known')} gateways\n`
      : ''
  const note = typeof warning === 'string' ? `warning: ${warning}\n` : ''
  return `${isWithdrawal ? 'withdrawn' : 'revoked'}: ${lineOf(mark).trimEnd()}\n${seen}${note}`
}

const renderList = ({ revocations }: JsonObject): string => {
  const marks = Array.isArray(revocations) ? (revocations as readonly JsonObject[]) : []
  return marks.length === 0
    ? 'no mark is in force\n'
    : marks.map((mark) => `${lineOf(mark).trimEnd()}\n`).join('')
}
