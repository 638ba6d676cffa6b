import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

/** Says where the primary is, when it is told to: the moment at which a real Sentinel does so cannot be chosen. */
export interface FakeSentinel {
  readonly port: number
  /** Who asks from now on waits for `answer`. @returns what resolves when somebody asks. */
  readonly hold: () => Promise<void>
  readonly answer: () => void
  /** Tells all who listen that there is another primary. */
  readonly tellFailover: () => void
  /** How many listen for that. */
  readonly listeners: () => number
}

const bulk = (text: string): string => `$${Buffer.byteLength(text)}\r\n${text}\r\n`
const array = (...items: readonly string[]): string => `*${items.length}\r\n${items.join('')}`

/** @param primaryPort of 127.0.0.1. */
export const startFakeSentinel = async (t: TestContext, primaryPort: number): Promise<FakeSentinel> => {
  const sockets = new Set<Socket>()
  const listeners = new Set<Socket>()
  const waiting: (() => void)[] = []
  let isHeld = false
  let asked = (): void => undefined

  const obey = (socket: Socket, [command = '', ...args]: readonly string[]): void => {
    const name = command.toUpperCase()
    if (name === 'SUBSCRIBE') {
      listeners.add(socket)
      socket.write(array(bulk('subscribe'), bulk(args[0] ?? ''), ':1\r\n'))
    } else if (name === 'SENTINEL' && args[0]?.toLowerCase() === 'get-master-addr-by-name') {
      const reply = (): unknown => socket.write(array(bulk('127.0.0.1'), bulk(String(primaryPort))))
      if (!isHeld) return void reply()
      waiting.push(reply)
      asked()
    } else socket.write(name === 'SENTINEL' ? array() : '+OK\r\n')
  }

  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => listeners.delete(socket))
    socket.on('data', (chunk) => {
      // Commands are short: each comes whole.
      for (const text of chunk.toString('latin1').split(/(?=\*\d+\r\n\$)/)) {
        obey(
          socket,
          [...text.matchAll(/\$\d+\r\n(.*?)\r\n/g)].map(([, word = '']) => word),
        )
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    // An address object is certain here: the server listens on TCP.
    port: (server.address() as AddressInfo).port,
    hold: () => {
      isHeld = true
      return new Promise((resolve) => {
        asked = resolve
      })
    },
    answer: () => {
      isHeld = false
      for (const reply of waiting.splice(0)) reply()
    },
    tellFailover: () => {
      const told = array(bulk('message'), bulk('+switch-master'), bulk('gate'))
      for (const socket of listeners) socket.write(told)
    },
    listeners: () => listeners.size,
  }
}
