import assert from 'node:assert/strict'
import { openRaw, type RawConnection } from '../support/raw-http.ts'
import type { MeantRequest, Traffic } from './hostile-traffic.ts'

/** Bytes that end every connection: no parser takes them for a request, and no body that is sent is this long. */
const THE_END = `\r\n\r\n${'@@ the end @@\r\n\r\n'.repeat(40)}`

export interface Sent {
  readonly text: string
  readonly mutated: boolean
  /** By label; labels are unique in a run. */
  readonly meant: ReadonlyMap<string, MeantRequest>
  /** Decision ids in what came back. */
  readonly ids: readonly string[]
  /** Answers of the application that came back to their own request. */
  readonly echoes: number
}

export interface HostileCaller {
  /** Sends the bytes, and reads until the gateway closes the connection. */
  readonly talk: (traffic: Traffic) => Promise<Sent>
  /** Sends the bytes up to the first cut, and is gone. */
  readonly hangUp: (traffic: Traffic) => Promise<void>
}

/** A caller of one gateway, which is to be answered by `startWitness()` behind it. */
export const createHostileCaller = (port: number): HostileCaller => {
  let serial = 0
  const isolate = ({ text, meant, mutated }: Traffic): Pick<Sent, 'text' | 'meant' | 'mutated'> => {
    serial += 1
    const unique = (label: string): string =>
      label.replaceAll(/case-00000(\d{3})/g, `case-${String(serial).padStart(5, '0')}$1`)
    return {
      text: unique(text),
      mutated,
      meant: new Map(meant.map((request) => [unique(request.label), request])),
    }
  }

  const withConnection = async <T>(use: (connection: RawConnection) => Promise<T>): Promise<T> => {
    const connection = await openRaw(port, 20_000)
    try {
      return await use(connection)
    } finally {
      connection.destroy()
    }
  }

  return {
    talk: (traffic) =>
      withConnection(async (connection) => {
        const sent = isolate(traffic)
        for (const piece of pieces(sent.text, traffic.cuts)) {
          connection.send(piece)
          await nextTurn()
        }
        connection.send(THE_END)
        await connection.closed()
        return { ...sent, ...readAnswers(connection.bytes().toString('latin1')) }
      }),
    hangUp: (traffic) =>
      withConnection(async (connection) => {
        const { text } = isolate(traffic)
        connection.send(pieces(text, traffic.cuts)[0] ?? text)
        await nextTurn()
      }),
  }
}

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

const pieces = (text: string, cuts: readonly number[]): readonly string[] => {
  const places = cuts.map((cut) => Math.floor(cut * text.length)).sort((a, b) => a - b)
  return [...places, text.length].map((place, index) => text.slice(places[index - 1] ?? 0, place))
}

const DECISION_ID = /\r\nSallyport-Decision-Id: (\S+)\r\n/g
const ECHO = /\r\nSallyport-Decision-Id: (\S+)\r\n(?:[^\r]+\r\n)*\r\nsaw (\S+?)(?=HTTP|$)/g

const readAnswers = (answers: string): Pick<Sent, 'ids' | 'echoes'> => {
  const ids = [...answers.matchAll(DECISION_ID)].map(([, id = '']) => id)
  const count = [...answers.matchAll(/HTTP\/1\.1 [2-5]\d\d /g)].length
  assert.equal(ids.length, count, `an answer without a decision id:\n${answers}`)
  const echoes = [...answers.matchAll(ECHO)]
  for (const [, id, echo] of echoes) assert.equal(echo, id, 'an answer to another request')
  return { ids, echoes: echoes.length }
}
