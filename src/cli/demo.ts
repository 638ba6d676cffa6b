import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { startBank } from '../demo/bank.ts'
import { prepareDemoDirectory } from '../demo/demo-directory.ts'
import { findEnd, findRecord } from '../demo/find-record.ts'
import { revokeBy } from '../demo/revoke-by.ts'
import { startTokenMint } from '../demo/token-mint.ts'
import { tryItLines } from '../demo/try-it.ts'
import { runWalkthrough } from '../demo/walkthrough.ts'
import { startGateway } from '../start.ts'
import { printFindings } from './configuration-file.ts'
import { type CommandIo, type Done, EXIT } from './io.ts'
import { createApiKey } from './keys-new.ts'
import { createLog } from './log.ts'

/** The folder that holds `config/` and `policies/`. */
const PACKAGE = fileURLToPath(new URL('../../..', import.meta.url))
const WALKTHROUGH_TIMEOUT_MS = 60_000
const RECORD_TIMEOUT_MS = 10_000

type Cleanup = () => Promise<unknown>

export const addDemo = (program: Command, io: CommandIo, done: Done): void => {
  program
    .command('demo')
    .description('Runs a bank, a token mint and the gateway, and walks through what it does.')
    .option('--once', 'end after the walk; exits 0 only if every step went as it should')
    .action(async (options: { readonly once?: boolean }) => {
      const cleanups: Cleanup[] = []
      try {
        done(await runDemo(io, options.once === true, cleanups))
      } finally {
        for (const cleanup of cleanups.reverse()) await cleanup()
      }
    })
}

const runDemo = async (io: CommandIo, once: boolean, cleanups: Cleanup[]): Promise<number> => {
  const stop = once ? null : io.stopRequested()
  const bank = await startBank()
  cleanups.push(bank.close)
  const mint = await startTokenMint(io.clock)
  cleanups.push(mint.close)
  const { key: partnerKey, hash, id } = createApiKey(io.clock.nowMs())
  const directory = await prepareDemoDirectory({
    source: PACKAGE,
    bankUrl: bank.url,
    issuer: mint.url,
    jwks: mint.jwks,
    partnerKey: { id, hash },
    keepPorts: !once,
  })
  cleanups.push(directory.remove)
  const log = createLog('warn')
  const gateway = await startGateway({ file: directory.configFile, env: io.env, clock: io.clock, log })
  if ('findings' in gateway) {
    printFindings(gateway.findings, io, false)
    return EXIT.usage
  }
  cleanups.push(gateway.close)
  const { gatewayUrl, decisionsFile, adminUrl, adminTokenFile } = directory
  const signal = AbortSignal.timeout(WALKTHROUGH_TIMEOUT_MS)
  const wentWell = await runWalkthrough({
    gatewayUrl,
    mint: mint.mint,
    partnerKey,
    readRecord: (decisionId) => findRecord(decisionsFile, decisionId),
    readEnd: (decisionId) => findEnd(decisionsFile, decisionId, AbortSignal.timeout(RECORD_TIMEOUT_MS)),
    revoke: revokeBy({ adminUrl, adminTokenFile, signal }),
    write: io.out,
    colour: io.colour,
    signal,
  })
  if (stop !== null) {
    io.out(tryItLines({ gatewayUrl, mintUrl: mint.url, partnerKey, decisionsFile, adminUrl, adminTokenFile }))
    await stop
  }
  return wentWell ? EXIT.ok : EXIT.findings
}
