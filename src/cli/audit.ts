import type { Command } from 'commander'
import { auditVerify } from './audit-verify.ts'
import type { CommandIo, Done } from './io.ts'

interface VerifyOptions {
  readonly head?: string
  readonly jwks?: string
  readonly json?: boolean
}

export const addAudit = (program: Command, io: CommandIo, done: Done): void => {
  program
    .command('audit')
    .description('Decision logs.')
    .command('verify')
    .argument('<file...>', 'decision logs, the parts of a rotated one in order')
    .description(
      'Checks the chain of decision logs and names every line that was changed, removed or reordered.',
    )
    .option(
      '--head <head>',
      'the last head you kept (sha256:…, seq:sha256:…, JSON, a signed head, or a file of one): also finds a cut tail',
    )
    .option('--jwks <file>', 'the keys that signed the head')
    .option('--json', 'print {"findings":[…]}')
    .addHelpText('after', '\nExits 0 when the chain is whole, 1 with findings, 2 when a file cannot be read.')
    .action(async (files: readonly string[], options: VerifyOptions) => {
      const { head, jwks, json } = options
      done(
        await auditVerify(
          {
            files,
            ...(head === undefined ? {} : { head }),
            ...(jwks === undefined ? {} : { jwks }),
            json: json === true,
          },
          { out: io.out, err: io.err },
        ),
      )
    })
}
