import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, describe, test } from 'node:test'
import type { Page } from 'playwright-core'
import { WebSocketServer } from 'ws'
import { type OidcWorld, startOidcWorld } from '../gateway/authenticate/oidc/world.ts'
import { NO_BROWSER, startBrowser, type TestBrowser } from './browser.ts'

/** An application with a page, something for its scripts, and a WebSocket. */
const startApplication = async () => {
  const server = createServer(({ url = '', headers }, response) => {
    const user = String(headers['x-remote-user'] ?? 'nobody')
    response.setHeader('Content-Type', 'text/html').setHeader('Set-Cookie', 'mine=1; Path=/')
    response.end(`<title>the bank</title><p id="said">${user} sees ${url}</p>`)
  })
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket) => socket.on('message', (text) => socket.send(`echo ${text}`)))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    // An address object is certain here: the server listens on TCP.
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: async () => {
      for (const socket of sockets.clients) socket.terminate()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

describe('a real browser', { skip: NO_BROWSER }, () => {
  let world: OidcWorld
  let browser: TestBrowser
  before(async () => {
    world = await startOidcWorld({
      backend: await startApplication(),
      authenticator: '    afterLogout: /goodbye',
    })
    browser = await startBrowser()
  })
  after(async () => {
    await browser?.close()
    await world.close()
  })

  const signIn = async (page: Page, path: string, name: string): Promise<void> => {
    await page.goto(`${world.url}${path}`)
    assert.equal(new URL(page.url()).origin, world.provider.issuer)
    await page.fill('input[name=login]', name)
    await page.fill('input[name=password]', 'any')
    await page.click('button[type=submit]')
    await page.waitForURL(`${world.url}/**`)
  }

  const said = (page: Page): Promise<string | null> => page.textContent('#said')

  /** What a script of the page gets. */
  const call = (page: Page, path: string, method = 'GET'): Promise<number> =>
    page.evaluate(
      async ([url = '', how = '']) => (await fetch(url, { method: how })).status,
      [`${world.url}${path}`, method],
    )

  /** Opens a WebSocket from the page; the result waits for the code that it is closed with. */
  const openSocket = async (page: Page): Promise<() => Promise<number>> => {
    const closing = page.evaluate(
      async (url) => {
        const socket = new WebSocket(url)
        const answer = await new Promise<string>((resolve, reject) => {
          socket.onopen = () => socket.send('hello')
          socket.onmessage = ({ data }) => resolve(String(data))
          socket.onerror = () => reject(new Error('no WebSocket'))
        })
        Object.assign(globalThis, { answer })
        return new Promise<number>((resolve) => {
          socket.onclose = ({ code }) => resolve(code)
        })
      },
      `${world.url.replace('http', 'ws')}/socket`,
    )
    await page.waitForFunction('globalThis.answer === "echo hello"')
    return () => closing
  }

  test('signs in, uses the application, signs out, and finds the old cookie dead', async () => {
    const { context } = browser
    const page = await context.newPage()
    await signIn(page, '/accounts/1?tab=2', 'alice')
    assert.equal(page.url(), `${world.url}/accounts/1?tab=2`)
    assert.equal(await said(page), 'alice sees /accounts/1?tab=2')

    const session = (await context.cookies(world.url)).find(({ name }) => name === 'sallyport-browser')
    assert.ok(session !== undefined)
    assert.equal(session.httpOnly, true)
    assert.equal(session.sameSite, 'Lax')
    assert.equal(await page.evaluate('document.cookie'), 'mine=1')
    assert.equal(await call(page, '/api'), 200)
    assert.equal(await call(page, '/api', 'POST'), 200)

    const closed = await openSocket(page)
    const out = await context.newPage()
    await out.goto(`${world.url}/.sallyport/logout`)
    await out.click('button[name=logout]')
    await out.waitForURL(`${world.url}/goodbye`)
    // The WebSocket of the other page was opened by that session.
    assert.equal(await closed(), 1008)
    const names = (await context.cookies(world.url)).map(({ name }) => name)
    assert.ok(!names.includes('sallyport-browser'))

    await context.addCookies([session])
    await page.goto(`${world.url}/accounts/1`)
    assert.equal(new URL(page.url()).origin, world.provider.issuer)
    assert.equal(await page.locator('input[name=login]').count(), 1)
    await out.close()
    await page.close()
  })

  test('has its WebSocket closed when somebody signs out at the provider', async () => {
    const page = await browser.context.newPage()
    await signIn(page, '/start', 'nina')
    const closed = await openSocket(page)
    const provider = await browser.context.newPage()
    await provider.goto(`${world.provider.issuer}/session/end`)
    await provider.click('button[name=logout]')
    assert.equal(await closed(), 1008)
    await page.goto(`${world.url}/start`)
    assert.equal(new URL(page.url()).origin, world.provider.issuer)
    await provider.close()
    await page.close()
  })

  test('does nothing by a session for a page of another origin', async () => {
    const page = await browser.context.newPage()
    await signIn(page, '/start', 'mona')
    const evil = await browser.context.newPage()
    // The provider's own host will do: what matters is that it is not that of the application.
    await evil.goto(`${world.provider.issuer}/.well-known/openid-configuration`)
    const opened = await evil.evaluate(
      (url) =>
        new Promise<boolean>((resolve) => {
          const socket = new WebSocket(url)
          socket.onopen = () => resolve(true)
          socket.onerror = () => resolve(false)
        }),
      `${world.url.replace('http', 'ws')}/socket`,
    )
    assert.equal(opened, false)
    const before = world.gateway.records().length
    await evil.setContent(`<form method="post" action="${world.url}/transfer"><button>go</button></form>`)
    await evil.click('button')
    await evil.waitForURL(`${world.url}/transfer`)
    const records = world.gateway.records().slice(before)
    assert.ok(records.length > 0)
    assert.ok(records.every(({ decision }) => decision === 'deny'))
    await evil.close()
    await page.close()
  })
})
