import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Log } from '../../core/log.ts'
import { createAdminHttpServer, ownDoor } from '../admin-door.ts'
import { type AdminServer, send } from '../admin-server.ts'
import { json, problem } from '../answers.ts'
import type { PlainAnswer } from '../endpoint.ts'
import { askWorker, openRequest, passedOn, type WorkerAnswer, type WorkerDoor } from './ask-worker.ts'
import {
  firstFound,
  headerOf,
  type Merge,
  mergeConfigStatus,
  mergeDecisions,
  mergeGrants,
  mergeList,
  mergeMetricsAnswers,
  mergeReadiness,
  type WorkersOverview,
} from './merge-answers.ts'
import { mergeStreams } from './merge-stream.ts'

export interface AdminFrontOptions {
  /** The workers that are ready, in their order. */
  readonly doors: () => readonly WorkerDoor[]
  readonly overview: () => WorkersOverview
  readonly log: Log
}

export interface AdminFront extends AdminServer {
  /** To be called when another set of workers is ready: streams of events end, and their readers come back. */
  readonly workersChanged: () => void
}

/** What only all workers together can answer. */
const MERGES: ReadonlyMap<string, Merge> = new Map([
  ['/metrics', mergeMetricsAnswers],
  ['/v1/config', mergeConfigStatus],
  ['/v1/decisions', mergeDecisions],
  ['/v1/audit/heads', mergeList('heads')],
  ['/v1/grants', mergeGrants],
])

const STREAM = '/v1/decisions/stream'
const ONE_DECISION = /^\/v1\/decisions\/[^/]+$/

/** How long answers under way may take when the port is closed. */
const CLOSE_MS = 1000

/**
 * The admin port of several workers: each question goes to one of them, or to all, whose answers are made one.
 *
 * Does not check tokens: the workers do, and their refusals are passed on.
 *
 * @param bind `host:port`. Rejects when it cannot be bound.
 */
export const startAdminFront = async (bind: string, options: AdminFrontOptions): Promise<AdminFront> => {
  const streams = new Set<() => void>()
  const answer = createAnswer(options, streams)
  const server = createAdminHttpServer((request, response) => {
    response.on('error', () => undefined)
    answer(request, response).catch((error: unknown) => {
      options.log.warn({ why: error instanceof Error ? error.message : String(error) }, 'no worker answered')
      if (response.headersSent) response.destroy()
      else send(response, problem(502, 'a worker did not answer'))
    })
  })
  const door = await ownDoor(server, bind)
  const endStreams = (): void => {
    for (const end of streams) end()
  }
  return {
    address: door.address,
    workersChanged: endStreams,
    close: async () => {
      const cut = setTimeout(door.cut, CLOSE_MS)
      const closed = door.close()
      endStreams()
      server.closeIdleConnections()
      await closed
      clearTimeout(cut)
    },
  }
}

const createAnswer =
  ({ doors, overview }: AdminFrontOptions, streams: Set<() => void>) =>
  async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const path = (request.url ?? '').split('?', 1)[0] ?? ''
    const isRead = request.method === 'GET' || request.method === 'HEAD'
    if (isRead && path === '/healthz') return send(response, json({ status: 'ok' }))
    const ready = doors()
    if (isRead && path === '/readyz') {
      return send(response, mergeReadiness(await askAll(ready, request), overview(), queryOf(request)))
    }
    const [first] = ready
    if (first === undefined) return send(response, problem(503, 'no worker is ready', ['Retry-After', '1']))
    const merge = MERGES.get(path)
    if (isRead && merge !== undefined) {
      const answers = await askAll(ready, request)
      const refused = answers.find(({ status }) => status !== 200)
      if (refused !== undefined) return pass(response, refused)
      return send(response, merge(answers, overview(), queryOf(request)))
    }
    if (request.method === 'GET' && path === STREAM) {
      const end = mergeStreams(ready, request, response)
      streams.add(end)
      response.once('close', () => streams.delete(end))
      request.socket.setTimeout(0)
      return undefined
    }
    if (isRead && ONE_DECISION.test(path)) {
      const found = firstFound(await askAll(ready, request))
      return 'rawHeaders' in found ? pass(response, found) : send(response, found)
    }
    return await handOn(first, request, response)
  }

const queryOf = ({ url = '' }: IncomingMessage): URLSearchParams =>
  new URLSearchParams(url.slice((url.split('?', 1)[0] ?? '').length))

/** A worker that has just died has no answer, and is missing from the next list of those that are ready. */
const askAll = async (
  doors: readonly WorkerDoor[],
  request: IncomingMessage,
): Promise<readonly WorkerAnswer[]> => {
  const asked = await Promise.allSettled(doors.map((door) => askWorker(door, request)))
  const answers = asked.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  if (answers.length === 0 && doors.length > 0) throw new Error('none of the workers has answered')
  return answers
}

const pass = (response: ServerResponse, answer: WorkerAnswer): void => {
  const plain: PlainAnswer = {
    status: answer.status,
    contentType: headerOf(answer, 'content-type') ?? 'application/json',
    text: answer.text,
    headers: ['WWW-Authenticate', 'Retry-After', 'Allow'].flatMap((name) => {
      const value = headerOf(answer, name.toLowerCase())
      return value === null ? [] : [name, value]
    }),
  }
  send(response, plain)
}

/** One worker answers as if it had been asked itself, at the pace of the caller. */
const handOn = (door: WorkerDoor, request: IncomingMessage, response: ServerResponse): Promise<void> =>
  new Promise((resolve, reject) => {
    const outgoing = openRequest(door, request)
    outgoing.on('error', reject)
    response.once('close', () => {
      outgoing.destroy()
      resolve()
    })
    outgoing.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 500, passedOn(answer.rawHeaders))
      answer.pipe(response)
      answer.on('error', reject)
    })
    request.pipe(outgoing)
  })
