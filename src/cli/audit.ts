import type { Command } from 'commander'
import type { FilterTexts } from '../admin/decisions/decision-filter.ts'
import { auditTail } from './audit-tail.ts'
import { auditVerify } from './audit-verify.ts'
import type { CommandIo, Done } from './io.ts'

interface VerifyOptions {
  readonly head?: string
  readonly from?: string
  readonly jwks?: string
  readonly json?: boolean
}

interface TailOptions extends FilterTexts {
  readonly admin?: string
  readonly lines: string
  readonly follow: boolean
  readonly json?: boolean
}

export const addAudit = (program: Command, io: CommandIo, done: Done): void => {
  const audit = program.command('audit').description('Decision logs.')
  addVerify(audit, io, done)
  addTail(audit, io, done)
}

const addTail = (audit: Command, io: CommandIo, done: Done): void => {
  audit
    .command('tail')
    .argument('[file...]', 'decision logs that are written now, of one gateway or of several')
    .description('Prints decisions as they are made, from the files of decision logs or from an admin port.')
    .option('--admin <url>', 'ask this admin port instead, with the token in SALLYPORT_ADMIN_TOKEN')
    .option('--subject <entity>', 'only those of this subject, such as User::alice')
    .option('--action <name>', 'only those about this action')
    .option('--resource <entity>', 'only those about this resource, such as Account::42')
    .option('--decision <decision>', 'only allow, or only deny')
    .option('--route <name>', 'only those of this route')
    .option('--since <time>', 'only those since then: 2026-11-23T22:10:00Z, or 15m ago')
    .option('-n, --lines <count>', 'how many of the latest come first', '10')
    .option('--no-follow', 'print the latest and end')
    .option('--json', 'print each as it is recorded')
    .addHelpText('after', '\nExits 0 at SIGINT or SIGTERM, 2 when there is nothing that can be read.')
    .action(async (files: readonly string[], options: TailOptions) => {
      const { admin, lines, follow, json, ...filter } = options
      const chosen = { files, filter, lines, follow, json: json === true }
      done(await auditTail({ ...chosen, ...(admin === undefined ? {} : { admin }) }, io))
    })
}

const addVerify = (audit: Command, io: CommandIo, done: Done): void => {
  audit
    .command('verify')
    .argument('<file...>', 'decision logs, and the parts of rotated ones, compressed or not, in any order')
    .description(
      'Checks the chain of decision logs and names every line that was changed, removed or reordered.',
    )
    .option(
      '--head <head>',
      'the last head you kept (sha256:…, seq:sha256:…, JSON, a signed head, or a file of one): also finds a cut tail',
    )
    .option(
      '--from <head>',
      'the head of what was deleted before the first line that is left, likewise; seq:sha256:… is in the log of the deletion',
    )
    .option('--jwks <file>', 'the keys that signed the heads')
    .option('--json', 'print {"findings":[…]}')
    .addHelpText('after', '\nExits 0 when the chain is whole, 1 with findings, 2 when a file cannot be read.')
    .action(async (files: readonly string[], options: VerifyOptions) => {
      const { head, from, jwks, json } = options
      done(
        await auditVerify(
          {
            files,
            ...(head === undefined ? {} : { head }),
            ...(from === undefined ? {} : { from }),
            ...(jwks === undefined ? {} : { jwks }),
            json: json === true,
          },
          { out: io.out, err: io.err },
        ),
      )
    })
}
