import { setTimeout as pause } from 'node:timers/promises'
import { FILTER_NAMES, type FilterTexts } from '../admin/decisions/decision-filter.ts'
import { parseRecord } from '../admin/decisions/decision-reader.ts'
import { readEvents } from './server-sent-events.ts'
import type { Tail } from './tail.ts'

const RETRY_MS = 1000
const ANSWER_MS = 10_000
/** The port says something every 15 s: a connection that is silent for longer is dead. */
const SILENCE_MS = 45_000

/**
 * Gives the latest decisions of a gateway, and then those that it makes, by its admin port.
 *
 * A lost connection is made again, and goes on after the last decision that came.
 *
 * @returns null when it was told to stop, or what is wrong.
 */
export const tailAdmin = async (url: string, token: string, tail: Tail): Promise<string | null> => {
  if (!/^https?:\/\/[^/?#]+\/?$/.test(url)) return '--admin: expected a URL such as http://127.0.0.1:9901'
  if (token === '') return 'expected a token of the admin port in SALLYPORT_ADMIN_TOKEN'
  const port: Port = { origin: url.replace(/\/$/, ''), token, signal: tail.signal }
  const began = await latest(port, tail)
  if ('mistake' in began) return tail.signal.aborted ? null : began.mistake
  return tail.follow ? await follow(port, tail, began) : null
}

interface Port {
  readonly origin: string
  readonly token: string
  readonly signal: AbortSignal
}

interface Begun {
  /** The newest decision of all, at which the stream is to begin; empty when there was none. */
  readonly newest: string
  /** What was given already. */
  readonly given: ReadonlySet<string>
}

const latest = async (port: Port, tail: Tail): Promise<Begun | { readonly mistake: string }> => {
  // First of all, so that nothing falls between the search and the stream.
  const newest = await search(port, {}, 1)
  if ('mistake' in newest) return newest
  const found = tail.lines === 0 ? { records: [] } : await search(port, tail.texts, tail.lines)
  if ('mistake' in found) return found
  const given = new Set<string>()
  for (const record of [...found.records].reverse()) {
    given.add(record.id)
    tail.onDecision(record)
  }
  return { newest: newest.records[0]?.id ?? '', given }
}

type Record = NonNullable<ReturnType<typeof parseRecord>>

const search = async (
  { origin, token, signal }: Port,
  texts: FilterTexts,
  limit: number,
): Promise<{ readonly records: readonly Record[] } | { readonly mistake: string }> => {
  try {
    const response = await fetch(`${origin}/v1/decisions?${queryOf(texts, { limit: String(limit) })}`, {
      headers: { authorization: `Bearer ${token}` },
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
    })
    if (response.status !== 200) return { mistake: await refusalOf(response) }
    const answer: unknown = await response.json()
    const decisions: unknown =
      typeof answer === 'object' && answer !== null && Reflect.get(answer, 'decisions')
    if (!Array.isArray(decisions)) return { mistake: `${origin} is not an admin port` }
    const records = decisions.map((each) => parseRecord(JSON.stringify(each)))
    return { records: records.filter((record) => record !== null) }
  } catch (error) {
    return { mistake: `no answer from ${origin}: ${causeOf(error)}` }
  }
}

const queryOf = (texts: FilterTexts, more: { readonly limit?: string } = {}): string => {
  const query = new URLSearchParams(more)
  for (const name of FILTER_NAMES) {
    const text = texts[name]
    if (text !== undefined) query.set(name, text)
  }
  return query.toString()
}

const refusalOf = async (response: Response): Promise<string> => {
  const text = await response.text()
  try {
    const { detail } = JSON.parse(text)
    if (typeof detail === 'string') return `refused with ${response.status}: ${detail}`
  } catch {
    // Another server's page.
  }
  return `refused with ${response.status}`
}

const causeOf = (error: unknown): string => {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error ? cause.message : String(cause)
}

const follow = async (port: Port, tail: Tail, { newest, given }: Begun): Promise<string | null> => {
  const state: StreamState = { lastId: newest, given, isFirst: true }
  while (!tail.signal.aborted) {
    const ended = await readStream(port, tail, state)
    if (tail.signal.aborted) return null
    if (ended.isFinal) return ended.why
    tail.onNote(`${ended.why}; trying again`)
    state.isFirst = false
    await pause(RETRY_MS, undefined, { signal: tail.signal }).catch(() => undefined)
  }
  return null
}

interface StreamState {
  lastId: string
  readonly given: ReadonlySet<string>
  /** Until the first connection was lost. */
  isFirst: boolean
}

const readStream = async (
  { origin, token, signal }: Port,
  tail: Tail,
  state: StreamState,
): Promise<{ readonly isFinal: boolean; readonly why: string }> => {
  const silence = new AbortController()
  let timer = setTimeout(() => silence.abort(), SILENCE_MS)
  const stillThere = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => silence.abort(), SILENCE_MS)
  }
  const { since: _since, ...texts } = tail.texts
  try {
    const response = await fetch(`${origin}/v1/decisions/stream?${queryOf(texts)}`, {
      headers: {
        authorization: `Bearer ${token}`,
        ...(state.lastId === '' ? {} : { 'last-event-id': state.lastId }),
      },
      redirect: 'manual',
      signal: AbortSignal.any([signal, silence.signal]),
    })
    if (response.status !== 200 || response.body === null) {
      return { isFinal: response.status < 500, why: await refusalOf(response) }
    }
    for await (const event of readEvents(response.body, stillThere)) give(event, tail, state)
    return { isFinal: false, why: 'the stream has ended' }
  } catch (error) {
    return { isFinal: false, why: `the connection is lost: ${causeOf(error)}` }
  } finally {
    clearTimeout(timer)
  }
}

const give = (
  { name, data }: { readonly name: string; readonly data: string },
  tail: Tail,
  state: StreamState,
): void => {
  if (name === 'dropped') {
    const { count } = JSON.parse(data)
    if (typeof count === 'number') tail.onNote(`${count} decisions came too fast and were passed over`)
    // The first stream may begin at a decision that only the file has, which loses nothing.
    else if (!state.isFirst) tail.onNote('some decisions were missed meanwhile')
    return
  }
  const record = name === 'decision' ? parseRecord(data) : null
  if (record === null) return
  state.lastId = record.id
  if (!state.given.has(record.id)) tail.onDecision(record)
}
