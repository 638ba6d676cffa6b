import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { TestContext } from 'node:test'

/** A stretch of network in front of a Redis, which can be bad in all ways that a network can. */
export interface RedisRelay {
  readonly port: number
  readonly url: string
  /** What Redis answers arrives so much later; 0: at once. */
  readonly delay: (ms: number) => void
  /** Nothing arrives any more, and connections stay open, until `restore`; what was held is lost with its connection then. */
  readonly hold: () => void
  /** Connections end, and new ones are refused, until `restore`. */
  readonly cut: () => void
  readonly restore: () => void
  /** Leads to another port from now on; connections that are there stay where they are. */
  readonly leadTo: (port: number) => void
}

export const startRelay = async (t: TestContext, to: number): Promise<RedisRelay> => {
  const sockets = new Set<Socket>()
  let target = to
  let delayMs = 0
  let state: 'open' | 'holding' | 'cut' = 'open'

  const endAll = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  const server = createServer((near) => {
    if (state === 'cut') return void near.destroy()
    const far = connect(target, '127.0.0.1')
    for (const [from, into] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(from)
      from.setNoDelay(true)
      from.on('error', () => undefined)
      from.on('close', () => {
        sockets.delete(from)
        into.destroy()
      })
      from.on('data', (bytes) => {
        const pass = (): void => {
          if (state === 'open' && into.writable) into.write(bytes)
        }
        if (from === near || delayMs === 0) pass()
        else setTimeout(pass, delayMs).unref()
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    endAll()
    server.close()
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    port: address.port,
    url: `redis://127.0.0.1:${address.port}/0`,
    delay: (ms) => {
      delayMs = ms
    },
    hold: () => {
      state = 'holding'
    },
    cut: () => {
      state = 'cut'
      endAll()
    },
    restore: () => {
      // What was left out in the middle of a connection cannot be made good in it.
      if (state === 'holding') endAll()
      state = 'open'
    },
    leadTo: (port) => {
      target = port
    },
  }
}
