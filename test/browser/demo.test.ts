import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { repositoryRoot } from '../house/source-files.ts'
import { NO_BROWSER, startBrowser, type TestBrowser } from './browser.ts'

/** Starts the demo as people do, and waits for the address that it says to open. */
const startDemo = async (): Promise<{ readonly child: ChildProcess; readonly url: string }> => {
  const child = spawn(process.execPath, [join(repositoryRoot, 'bin', 'sallyport'), 'demo'], {
    cwd: repositoryRoot,
    stdio: ['ignore', 'pipe', 'inherit'],
    signal: AbortSignal.timeout(120_000),
  })
  // What `signal` does is told by an event that nobody else listens to.
  child.on('error', () => undefined)
  let said = ''
  for await (const text of child.stdout.setEncoding('utf8') as AsyncIterable<string>) {
    said += text
    const [, url] = /^Open (http:\/\/localhost:\d+\/) in a browser/m.exec(said) ?? []
    if (url !== undefined) return { child, url }
  }
  throw new Error(`the demo ended: ${said}`)
}

describe('the demo in a browser', { skip: NO_BROWSER }, () => {
  let demo: Awaited<ReturnType<typeof startDemo>>
  let browser: TestBrowser
  before(async () => {
    demo = await startDemo()
    browser = await startBrowser()
  })
  after(async () => {
    await browser?.close()
    if (demo?.child.exitCode === null) {
      demo.child.kill('SIGTERM')
      await once(demo.child, 'exit')
    }
  })

  const signIn = async (page: Page, name: string): Promise<void> => {
    assert.notEqual(new URL(page.url()).origin, new URL(demo.url).origin)
    await page.click(`button[value=${name}]`)
    await page.waitForURL(`${demo.url}**`)
  }

  const links = (page: Page): Promise<readonly string[]> =>
    page.locator('td a').evaluateAll((found) => found.map(({ textContent }) => textContent ?? ''))

  const openByNumber = async (page: Page, number: string): Promise<void> => {
    await page.goto(demo.url)
    await page.fill('input[name=number]', number)
    await page.click('form button')
    await page.waitForURL(`${demo.url}accounts/${number}`)
  }

  test('shows whoever signs in what is theirs, refuses the rest readably, and signs out', async () => {
    const page = await browser.context.newPage()
    for (const [name, own, other] of [
      ['alice', ['1001', '1002'], '2001'],
      ['bob', ['2001', '2002'], '1001'],
    ] as const) {
      await page.goto(demo.url)
      await signIn(page, name)
      assert.equal(await page.textContent('#user'), name)
      assert.deepEqual(await links(page), own)
      await openByNumber(page, own[0])
      assert.equal(await page.textContent('#owner'), name)
      await openByNumber(page, other)
      assert.equal(await page.textContent('h1'), 'Access is denied')
      assert.equal(await page.locator('#owner').count(), 0)
      await page.goto(demo.url)
      await page.click('text=Sign out')
      // The way out leads to the provider, back to the bank, and so to who comes next.
      await page.waitForSelector('button[value=bob]')
    }
    await page.close()
  })
})
