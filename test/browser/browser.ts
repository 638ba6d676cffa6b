import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BrowserContext, chromium } from 'playwright-core'

const EXECUTABLE = '/usr/bin/chromium'

/** False, or why nothing can be tested with a browser. */
export const NO_BROWSER = existsSync(EXECUTABLE) ? false : 'chromium is not installed'

export interface TestBrowser {
  readonly context: BrowserContext
  readonly close: () => Promise<void>
}

/** Starts the distribution's Chromium as somebody who has never been anywhere. */
export const startBrowser = async (): Promise<TestBrowser> => {
  const profile = mkdtempSync(join(tmpdir(), 'sallyport-browser-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: EXECUTABLE,
    args: [
      ...['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run'],
      ...['--disable-background-networking', '--disable-component-update', '--disable-sync'],
    ],
    timeout: 60_000,
  })
  context.setDefaultTimeout(30_000)
  return {
    context,
    close: async () => {
      await context.close()
      rmSync(profile, { recursive: true, force: true })
    },
  }
}
