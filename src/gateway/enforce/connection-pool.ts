import { Client, type Dispatcher } from 'undici'

/** The connections to one origin, each for one request at a time. */
export interface ConnectionPool {
  /** Sends a request by a free connection, a new one, or, where there may be no more of them, as soon as one is free. */
  readonly dispatch: (request: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler) => void
  /** Takes no more requests, and waits for those it has. */
  readonly close: () => Promise<void>
  /** Cuts the requests it has, those that wait too. */
  readonly destroy: () => Promise<void>
}

interface Connection {
  readonly client: Client
  isFree: boolean
}

interface Waiting {
  readonly request: Dispatcher.DispatchOptions
  readonly handler: Dispatcher.DispatchHandler
}

/**
 * Keeps HTTP/1.1 connections to an origin; none is opened before it is needed.
 *
 * undici's own pool looks for a free connection through all that it has, with each request: where some hundred callers
 * are slow to take what they asked for, that is the larger part of what a request costs.
 *
 * @param origin         scheme, host and port.
 * @param maxConnections how many there may be at once; null: no limit.
 * @param options        of each of undici's clients.
 */
export const createConnectionPool = (
  origin: string,
  maxConnections: number | null,
  options: Client.Options,
): ConnectionPool => {
  const connections = new Set<Connection>()
  // The one that was used last comes first, so that those that are not needed come to their end.
  const free: Connection[] = []
  const waiting: Waiting[] = []
  let closed: Promise<void> | null = null
  let destroyed = false
  let onEmpty = (): void => undefined

  const create = (): Connection => {
    const client = new Client(origin, { ...options, pipelining: 1, allowH2: false })
    const connection: Connection = { client, isFree: true }
    connections.add(connection)
    client.on('drain', () => release(connection))
    client.on('disconnect', () => {
      if (connection.isFree) remove(connection)
    })
    // undici does not use such a client again either.
    client.on('connectionError', () => {
      remove(connection)
      serveNext()
    })
    return connection
  }

  const remove = (connection: Connection): void => {
    connections.delete(connection)
    const at = connection.isFree ? free.lastIndexOf(connection) : -1
    if (at !== -1) free.splice(at, 1)
    connection.isFree = false
  }

  const release = (connection: Connection): void => {
    if (connection.isFree || !connections.has(connection)) return
    connection.isFree = true
    free.push(connection)
    serveNext()
  }

  const take = (): Connection | null => {
    const known = free.pop()
    if (known !== undefined) return known
    return maxConnections === null || connections.size < maxConnections ? create() : null
  }

  const send = (connection: Connection, { request, handler }: Waiting): void => {
    connection.isFree = false
    const { client } = connection
    // True: it was given up at once, and undici will tell that the client is free. What undici itself refuses to send
    // leaves the client as it was, and nothing would tell that.
    if (!client.dispatch(request, handler) && client.stats.size === 0) release(connection)
  }

  const serveNext = (): void => {
    while (waiting.length > 0) {
      const connection = take()
      if (connection === null) return
      const next = waiting.shift()
      if (next !== undefined) send(connection, next)
    }
    onEmpty()
  }

  const allClosed = async (): Promise<void> => {
    if (waiting.length > 0) {
      await new Promise<void>((resolve) => {
        onEmpty = resolve
      })
    }
    if (!destroyed) await Promise.all([...connections].map(({ client }) => client.close()))
  }

  /** Tells it what undici says when it is asked too late. */
  const refuseIt = ({ request, handler }: Waiting): void => {
    const late = new Client(origin, options)
    void late.destroy()
    late.dispatch(request, handler)
  }

  return {
    dispatch: (request, handler) => {
      if (closed !== null) return refuseIt({ request, handler })
      const connection = waiting.length > 0 ? null : take()
      if (connection === null) waiting.push({ request, handler })
      else send(connection, { request, handler })
    },
    close: () => {
      closed ??= allClosed()
      return closed
    },
    destroy: async () => {
      closed ??= Promise.resolve()
      destroyed = true
      for (const one of waiting.splice(0)) refuseIt(one)
      onEmpty()
      await Promise.all([...connections].map(({ client }) => client.destroy()))
    },
  }
}
