import type { Command } from 'commander'
import type { CommandIo, Done } from './io.ts'
import { createApiKey } from './keys-new.ts'

export const addKeys = (program: Command, io: CommandIo, _done: Done): void => {
  program
    .command('keys')
    .description('API keys.')
    .command('new')
    .description(
      'Makes an API key, and the hash to store in the keys file. The key itself is shown only here.',
    )
    .option('--json', 'print {"key","hash","id"}')
    .action((options: { readonly json?: boolean }) => {
      const { key, hash, id } = createApiKey(io.clock.nowMs())
      if (options.json === true) return io.out(`${JSON.stringify({ key, hash, id })}\n`)
      io.out(
        `key:  ${key}\nhash: ${hash}\nid:   ${id}\n\nGive the key to its user; it is not stored anywhere. For the keys file:\n\n`,
      )
      io.out(`  - { id: ${id}, hash: '${hash}', subject: { type: Partner, id: CHANGE-ME } }\n`)
    })
}
