// Callers that hold on to the gateway, as a program of its own; says `ready` when all are there, and wait.
import { connect, type Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

const [port = '', host = '', idle = '2000', slow = '300'] = process.argv.slice(2)
const DRIP_MS = 1000
// Callers who have nothing to do with each other do not come, drip, and are not cut, in step.
const ARRIVAL_MS = 10_000
// What those who do not read have asked for comes as far as there is room for it.
const SETTLING_MS = 3_000

type Manner = (socket: Socket) => () => void

const nothing = (): void => undefined

const idles: Manner = () => nothing

/** A header field's name a byte a second, for ever. */
const slowHeaders: Manner = (socket) => {
  socket.write(`GET /public/42 HTTP/1.1\r\nHost: ${host}\r\nX-`)
  return () => socket.write('a')
}

/** A body of a megabyte, a byte a second. */
const slowBody: Manner = (socket) => {
  socket.write(`POST /upload HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 1048576\r\n\r\n`)
  return () => socket.write('a')
}

/** Asks for sixteen megabytes and does not read them. */
const slowRead: Manner = (socket) => {
  socket.pause()
  socket.write(`GET /large HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  return nothing
}

let number = 0

/** A caller that comes back when it is cut; each from another address, as far as loopback has them. */
const hold = (manner: Manner): Promise<void> =>
  new Promise((resolve) => {
    number += 1
    const localAddress = `127.0.${1 + (number % 200)}.${1 + (Math.floor(number / 200) % 200)}`
    const socket = connect({ port: Number(port), host: '127.0.0.1', localAddress }, () => {
      const drip = setInterval(manner(socket), DRIP_MS)
      socket.once('close', () => clearInterval(drip))
      resolve()
    })
    socket.on('error', nothing)
    socket.once('close', () => setTimeout(() => void hold(manner), 100))
  })

const many = (count: string, manner: Manner): readonly Promise<void>[] =>
  Array.from({ length: Number(count) }, async (_, at) => {
    await delay((at * ARRIVAL_MS) / Number(count))
    await hold(manner)
  })

await Promise.all([
  ...many(idle, idles),
  ...many(slow, slowHeaders),
  ...many(slow, slowBody),
  ...many(slow, slowRead),
])
await delay(SETTLING_MS)
process.stdout.write('ready\n')
