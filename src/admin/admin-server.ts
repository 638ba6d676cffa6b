import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Log } from '../core/log.ts'
import type { AdminDeps } from './admin-deps.ts'
import { type AdminDoor, createAdminHttpServer, ownDoor } from './admin-door.ts'
import { problem } from './answers.ts'
import { createCallLog } from './call-log.ts'
import { controlEndpoints } from './control-endpoints.ts'
import { decisionEndpoints } from './decisions/decision-endpoints.ts'
import type { StreamTimes } from './decisions/decision-stream.ts'
import { createDispatch } from './dispatch.ts'
import type { AdminAnswer, PlainAnswer } from './endpoint.ts'
import { explainEndpoint } from './explain-endpoint.ts'
import { grantsEndpoint } from './grants-endpoint.ts'
import { openEndpoints } from './open-endpoints.ts'
import { replayEndpoint } from './replay-endpoint.ts'
import { revocationEndpoints } from './revocation-endpoints.ts'
import { taskEndpoint } from './task-endpoint.ts'

export interface AdminServer {
  readonly address: () => string
  /** Resolves when the port is free again; streams are ended, and what is not done in a second is cut. */
  readonly close: () => Promise<void>
}

/** What callers get to read the rest of an answer when the port is closed. */
const CLOSE_MS = 1_000

export interface AdminServerOptions {
  /** Of streams, for tests. */
  readonly times?: StreamTimes
  /** By default the server listens itself. */
  readonly door?: AdminDoor
}

/**
 * The control plane's own port.
 *
 * @param bind `host:port`; port 0 picks a free one.
 * @throws when the port cannot be bound.
 */
export const startAdminServer = async (
  bind: string,
  deps: AdminDeps,
  { times, door = ownDoor }: AdminServerOptions = {},
): Promise<AdminServer> => {
  const { settings, log, clock } = deps
  const streams = new Set<() => void>()
  const endpoints = [
    ...openEndpoints(deps),
    ...controlEndpoints(deps),
    ...revocationEndpoints(deps),
    taskEndpoint(deps),
    grantsEndpoint(deps),
    explainEndpoint(deps),
    replayEndpoint(deps),
    ...decisionEndpoints(deps, { open: streams, ...(times && { times }) }),
  ]
  const dispatch = createDispatch({ endpoints, bind, settings, ...createCallLog(log, clock) })
  const server = createAdminHttpServer((request, response) => {
    dispatch(request, response).then(
      (answer) => give(request, response, answer),
      (bug: unknown) => fail(response, bug, log),
    )
  })
  const open = await door(server, bind)
  return {
    address: open.address,
    close: async () => {
      const cut = setTimeout(open.cut, CLOSE_MS)
      const closed = open.close()
      for (const end of streams) end()
      server.closeIdleConnections()
      await closed
      clearTimeout(cut)
    },
  }
}

const give = (request: IncomingMessage, response: ServerResponse, answer: AdminAnswer): void => {
  if (response.destroyed) return
  if (!('stream' in answer)) return send(response, answer)
  if (request.method !== 'GET') return send(response, problem(405, 'expected GET', ['Allow', 'GET']))
  // It says itself when its reader has stalled.
  request.socket.setTimeout(0)
  answer.stream(response)
}

export const send = (
  response: ServerResponse,
  { status, contentType, text, headers = [] }: PlainAnswer,
): void => {
  response.writeHead(status, [
    ...['Content-Type', contentType, 'Content-Length', String(Buffer.byteLength(text))],
    ...['Cache-Control', 'no-store', 'X-Content-Type-Options', 'nosniff'],
    // No page of another origin gets to embed it.
    ...['Cross-Origin-Resource-Policy', 'same-origin'],
    ...headers,
  ])
  response.end(text)
}

const fail = (response: ServerResponse, bug: unknown, log: Log): void => {
  // The caller went away while it was waited for something.
  if (response.destroyed) return
  log.error({ stack: bug instanceof Error ? bug.stack : String(bug) }, 'internal error in the admin port')
  if (response.headersSent) response.destroy()
  else send(response, problem(500, 'an internal error; its stack is in the log'))
}
