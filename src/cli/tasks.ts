import type { Command } from 'commander'
import { askAdmin } from './admin-client.ts'
import { type CommandIo, type Done, EXIT } from './io.ts'
import { DEFAULT_ADMIN } from './revoke.ts'

interface CompleteOptions {
  readonly admin: string
  readonly json?: boolean
}

export const addTasks = (program: Command, io: CommandIo, done: Done): void => {
  program
    .command('tasks')
    .description('Tasks that requests belong to.')
    .command('complete <id>')
    .description('Ends a task: its grants and streams end everywhere, and it cannot be used again.')
    .option('--admin <url>', 'the admin port; its token is in SALLYPORT_ADMIN_TOKEN', DEFAULT_ADMIN)
    .option('--json', 'print what the admin port answers')
    .action(async (id: string, options: CompleteOptions) => done(await complete(id, options, io)))
}

const complete = async (id: string, { admin, json }: CompleteOptions, io: CommandIo): Promise<number> => {
  const path = `/v1/tasks/${encodeURIComponent(id)}/complete`
  const answer = await askAdmin({ admin, method: 'POST', path, body: {} }, io)
  if ('mistake' in answer) {
    io.err(`sallyport tasks complete: ${answer.mistake}\n`)
    return EXIT.findings
  }
  io.out(json === true ? `${JSON.stringify(answer.json)}\n` : `completed ${id}\n`)
  return EXIT.ok
}
