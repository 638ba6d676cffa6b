import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface AdminServer {
  readonly address: () => string
  /** Resolves when the port is free again; open connections are cut. */
  readonly close: () => Promise<void>
}

/**
 * The control plane's own port: `/healthz` (the process lives) and `/readyz` (it takes requests).
 *
 * @param bind `host:port`; port 0 picks a free one.
 * @param ready asked at each `/readyz`.
 * @throws when the port cannot be bound.
 */
export const startAdminServer = async (bind: string, ready: () => boolean): Promise<AdminServer> => {
  const server = createServer((request, response) => answer(request, response, ready))
  const { host, port } = splitBind(bind)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => resolve())
  })
  return {
    address: () => formatAddress(server.address()),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

const answer = (request: IncomingMessage, response: ServerResponse, ready: () => boolean): void => {
  const path = (request.url ?? '').split('?', 1)[0]
  const readable = request.method === 'GET' || request.method === 'HEAD'
  if (readable && path === '/healthz') return send(response, 200, { status: 'ok' })
  if (readable && path === '/readyz') {
    return ready() ? send(response, 200, { status: 'ready' }) : send(response, 503, { status: 'not ready' })
  }
  send(response, 404, { title: 'Nothing is here', status: 404 })
}

const send = (response: ServerResponse, status: number, body: object): void => {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(`${JSON.stringify(body)}\n`)
}

const splitBind = (bind: string): { readonly host: string; readonly port: number } => {
  const colon = bind.lastIndexOf(':')
  const host = bind.slice(0, colon).replace(/^\[|\]$/g, '')
  return { host, port: Number(bind.slice(colon + 1)) }
}

const formatAddress = (address: AddressInfo | string | null): string => {
  if (address === null || typeof address === 'string') return address ?? ''
  return address.family === 'IPv6'
    ? `[${address.address}]:${address.port}`
    : `${address.address}:${address.port}`
}
