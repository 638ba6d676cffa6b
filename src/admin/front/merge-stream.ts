import type { IncomingMessage, ServerResponse } from 'node:http'
import { openRequest, passedOn, type WorkerDoor } from './ask-worker.ts'

const EVENT_END = '\n\n'
const FRAMING: ReadonlySet<string> = new Set(['transfer-encoding', 'content-length'])

/**
 * Joins the event streams of all workers; a reader gets whole events of each.
 *
 * When one of them ends, all do: the reader comes back, and gets what it has missed, also of a worker that is new.
 *
 * @returns ends it.
 */
export const mergeStreams = (
  doors: readonly WorkerDoor[],
  asked: IncomingMessage,
  response: ServerResponse,
): (() => void) => {
  const outgoing = doors.map((door) => openRequest(door, asked))
  const incoming: IncomingMessage[] = []
  let ended = false

  const end = (): void => {
    if (ended) return
    ended = true
    for (const request of outgoing) request.destroy()
    if (response.headersSent) response.end()
    else response.destroy()
  }
  response.on('drain', () => {
    for (const stream of incoming) stream.resume()
  })
  response.once('close', end)

  const begin = (stream: IncomingMessage): void => {
    incoming.push(stream)
    const isFirst = !response.headersSent
    if (isFirst) response.writeHead(stream.statusCode ?? 500, passedOn(stream.rawHeaders, FRAMING))
    stream.setEncoding('utf8')
    let rest = ''
    stream.on('data', (text: string) => {
      rest += text
      const whole = rest.lastIndexOf(EVENT_END)
      // What is no stream is the same refusal from all of them: the first one's is passed on.
      if (stream.statusCode !== 200) {
        if (isFirst) response.write(rest)
        rest = ''
      } else if (whole !== -1) {
        const taken = response.write(rest.slice(0, whole + EVENT_END.length))
        rest = rest.slice(whole + EVENT_END.length)
        if (!taken) for (const each of incoming) each.pause()
      }
    })
    stream.once('close', end)
  }
  for (const request of outgoing) {
    request.on('response', begin)
    request.on('error', end)
    request.end()
  }
  return end
}
