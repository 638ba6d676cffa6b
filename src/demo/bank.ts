import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type Duplex, Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { prefersHtml } from '../core/accepts-html.ts'
import { accountPage, homePage } from './bank-pages.ts'
import { openDesk } from './desk.ts'
import { createLedger, type Ledger, statementLines } from './ledger.ts'
import { closeServer, listenLocally } from './local-server.ts'

export interface Bank {
  readonly url: string
  readonly close: () => Promise<void>
}

const MAX_BODY_BYTES = 64 * 1024
const TICK_MS = 1000

interface Call {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly ledger: Ledger
  /** Who `X-Remote-User` says it is. */
  readonly user: string
  readonly captures: readonly string[]
}

interface Page {
  readonly method: 'GET' | 'POST'
  readonly path: RegExp
  readonly serve: (call: Call) => void | Promise<void>
}

/**
 * Starts the application that the demo protects: a bank that was never made to be reached by strangers.
 *
 * It believes whatever `X-Remote-User` says and checks nothing else: any user may read any account and
 * move any money. That is the point. It belongs behind a gateway, on an address of its own.
 *
 * @param port 0 for a free one; it listens on 127.0.0.1 only.
 */
export const startBank = async (port = 0): Promise<Bank> => {
  const ledger = createLedger()
  const server = createServer((request, response) => {
    serve(request, response, ledger).catch(() => response.destroy())
  })
  const tunnels = new Set<Duplex>()
  server.on('upgrade', (request, socket) => {
    tunnels.add(socket)
    socket.on('close', () => tunnels.delete(socket))
    openDesk(request, socket)
  })
  const close = (): Promise<void> => {
    // The server knows nothing of them any more.
    for (const socket of tunnels) socket.destroy()
    return closeServer(server)
  }
  return { url: await listenLocally(server, port), close }
}

const serve = async (request: IncomingMessage, response: ServerResponse, ledger: Ledger): Promise<void> => {
  const [path = ''] = (request.url ?? '').split('?')
  const user = request.headers['x-remote-user']
  if (path === '/health') return sendJson(response, 200, { status: 'ok' })
  if (typeof user !== 'string')
    return sendJson(response, 401, { error: 'the front door did not say who you are' })
  const method = request.method === 'HEAD' ? 'GET' : request.method
  for (const page of PAGES) {
    const found = page.path.exec(path)
    if (found !== null && page.method === method) {
      return page.serve({ request, response, ledger, user, captures: found.slice(1) })
    }
  }
  return sendJson(response, 404, { error: 'no such page' })
}

const sendJson = (response: ServerResponse, status: number, body: object): void => {
  const text = `${JSON.stringify(body)}\n`
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
  })
  response.end(text)
}

const showUser = ({ response, user }: Call): void => sendJson(response, 200, { user })

const sendPage = (response: ServerResponse, page: string): void => {
  response.writeHead(200, {
    'content-type': 'text/html; charset=utf-8',
    'content-length': Buffer.byteLength(page),
    'cache-control': 'no-store',
    vary: 'Accept',
  })
  response.end(page)
}

const showHome = ({ response, ledger, user }: Call): void =>
  sendPage(response, homePage(user, ledger.accountsOf(user)))

/** Where a form leads that asks for an account by its number; any number, as nobody is checked here. */
const openAccount = ({ request, response }: Call): void => {
  const number = new URL(request.url ?? '/', 'http://bank').searchParams.get('number')?.trim() ?? ''
  if (!/^\d{1,10}$/.test(number)) return sendJson(response, 400, { error: 'expected ?number=1001' })
  response.writeHead(303, { location: `/accounts/${number}` }).end()
}

const showAccount = ({ request, response, ledger, user, captures: [id = ''] }: Call): void => {
  const account = ledger.account(id)
  if (account === null) return sendJson(response, 404, { error: 'no such account' })
  if (prefersHtml(request.headers.accept ?? null)) return sendPage(response, accountPage(user, account))
  return sendJson(response, 200, account)
}

const downloadStatement = async ({ request, response, ledger, captures }: Call): Promise<void> => {
  const [id = '', month = ''] = captures
  const account = ledger.account(id)
  if (account === null) return sendJson(response, 404, { error: 'no such account' })
  response.writeHead(200, {
    'content-type': 'text/csv',
    'content-disposition': `attachment; filename="${id}-${month}.csv"`,
  })
  if (request.method === 'HEAD') {
    response.end()
    return
  }
  await pipeline(Readable.from(statementLines(account, month)), response)
}

const orderTransfer = async ({
  request,
  response,
  ledger,
  user,
  captures: [from = ''],
}: Call): Promise<void> => {
  const order = await readOrder(request)
  if (order === null) return sendJson(response, 400, { error: 'expected {"to", "amountCents"}' })
  const transfer = ledger.transfer({ from, ...order, orderedBy: user })
  if (transfer === null) return sendJson(response, 422, { error: 'this money cannot be moved' })
  return sendJson(response, 201, transfer)
}

const readOrder = async (
  request: IncomingMessage,
): Promise<{ readonly to: string; readonly amountCents: number } | null> => {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MAX_BODY_BYTES) return null
    chunks.push(chunk)
  }
  try {
    const order: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'))
    if (typeof order !== 'object' || order === null || !('to' in order) || !('amountCents' in order))
      return null
    const { to, amountCents } = order
    return typeof to === 'string' && typeof amountCents === 'number' ? { to, amountCents } : null
  } catch {
    return null
  }
}

/** Server-sent events: one exchange rate at once, then one every second for as long as somebody reads. */
const streamTicker = ({ request, response }: Call): void => {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
  if (request.method === 'HEAD') {
    response.end()
    return
  }
  let sequence = 0
  const tick = (): void => {
    sequence += 1
    const rate = (1.08 + Math.sin(sequence / 5) / 100).toFixed(4)
    response.write(`id: ${sequence}\nevent: rate\ndata: {"pair":"EUR/USD","rate":${rate}}\n\n`)
  }
  tick()
  const timer = setInterval(tick, TICK_MS)
  response.on('close', () => clearInterval(timer))
}

const PAGES: readonly Page[] = [
  { method: 'GET', path: /^\/$/, serve: showHome },
  { method: 'GET', path: /^\/open$/, serve: openAccount },
  { method: 'GET', path: /^\/whoami$/, serve: showUser },
  { method: 'GET', path: /^\/accounts\/([^/]+)$/, serve: showAccount },
  { method: 'GET', path: /^\/accounts\/([^/]+)\/statements\/(\d{4}-\d{2})$/, serve: downloadStatement },
  { method: 'POST', path: /^\/accounts\/([^/]+)\/transfers$/, serve: orderTransfer },
  { method: 'GET', path: /^\/ticker$/, serve: streamTicker },
]
