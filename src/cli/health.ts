import type { Command } from 'commander'
import { type CommandIo, type Done, EXIT } from './io.ts'

const DEFAULT_URL = 'http://127.0.0.1:9901/healthz'
const TIMEOUT_MS = 3000

interface HealthOptions {
  readonly url: string
}

/** For a container's health check, where there is no shell and no curl. */
export const addHealth = (program: Command, io: CommandIo, done: Done): void => {
  program
    .command('health')
    .description('Asks a running gateway whether it is well.')
    .option('--url <url>', 'what to ask, on the admin port; /readyz: does it take requests', DEFAULT_URL)
    .addHelpText('after', '\nExits 0 when the answer is 200, 1 when it is another or none comes within 3 s.')
    .action(async ({ url }: HealthOptions) => {
      if (!isHttpUrl(url)) {
        io.err(`--url: expected a URL that starts with http:// or https://\n`)
        return done(EXIT.usage)
      }
      const outcome = await ask(url)
      if (outcome !== 'well') io.err(`${outcome}\n`)
      done(outcome === 'well' ? EXIT.ok : EXIT.findings)
    })
}

const isHttpUrl = (text: string): boolean => {
  try {
    return /^https?:$/.test(new URL(text).protocol)
  } catch {
    return false
  }
}

/** `well`, or what is wrong. */
const ask = async (url: string): Promise<string> => {
  try {
    const response = await fetch(url, { redirect: 'manual', signal: AbortSignal.timeout(TIMEOUT_MS) })
    await response.body?.cancel()
    return response.status === 200 ? 'well' : `answered ${response.status}`
  } catch (error) {
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
    return `no answer: ${cause instanceof Error ? cause.message : String(cause)}`
  }
}
