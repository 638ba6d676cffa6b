import type { Command } from 'commander'
import type { JsonObject } from '../core/json.ts'
import { askAdmin } from './admin-client.ts'
import { type CommandIo, type Done, EXIT } from './io.ts'
import { DEFAULT_ADMIN } from './revoke.ts'

interface ListOptions {
  readonly admin: string
  readonly limit: string
  readonly json?: boolean
  readonly subject?: string
  readonly credential?: string
  readonly session?: string
  readonly task?: string
  readonly resource?: string
  readonly grant?: string
}

export const addGrants = (program: Command, io: CommandIo, done: Done): void => {
  const grants = program.command('grants').description('Decisions that are kept.')
  grants
    .command('list')
    .description(
      'Lists the live grants of a gateway, by its admin port; those in Redis by --subject, --task, --resource or --grant.',
    )
    .option('--admin <url>', 'the admin port; its token is in SALLYPORT_ADMIN_TOKEN', DEFAULT_ADMIN)
    .option('--subject <entity>', 'only those of this subject, such as User::alice')
    .option('--credential <id>', 'only those of this credential')
    .option('--session <id>', 'only those of this session')
    .option('--task <id>', 'only those of this task')
    .option('--resource <entity>', 'only those on this resource, such as Account::42')
    .option('--grant <id>', 'only this one, by its id in the decision log')
    .option('-n, --limit <count>', 'how many at most', '100')
    .option('--json', 'print what the admin port answers')
    .action(async (options: ListOptions) => done(await list(options, io)))
}

const list = async ({ admin, json, ...filter }: ListOptions, io: CommandIo): Promise<number> => {
  const query = new URLSearchParams(Object.entries(filter))
  const answer = await askAdmin({ admin, method: 'GET', path: `/v1/grants?${query}` }, io)
  if ('mistake' in answer) {
    io.err(`sallyport grants list: ${answer.mistake}\n`)
    return EXIT.findings
  }
  io.out(json === true ? `${JSON.stringify(answer.json)}\n` : render(answer.json))
  const hint = HINTS.get(String(answer.json.shared))
  if (hint !== undefined) io.err(`sallyport grants list: ${hint}\n`)
  return EXIT.ok
}

const HINTS: ReadonlyMap<string, string> = new Map([
  ['needs_filter', 'those that are only in Redis are listed with --subject, --task, --resource or --grant'],
  ['unavailable', 'Redis did not answer: only what this gateway keeps itself is listed'],
])

const render = ({ grants, total }: JsonObject): string => {
  const rows = Array.isArray(grants) ? (grants as readonly JsonObject[]) : []
  const lines = rows.map(({ decision, subject, resources, expires, id, source }) => {
    const about = Array.isArray(resources) ? resources.join(', ') : ''
    return `${decision}  ${subject}  ${about}  until ${expires}  ${source}  ${id}\n`
  })
  return `${lines.join('')}${rows.length} of ${total} grants\n`
}
