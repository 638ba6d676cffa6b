import type { Server } from 'node:http'

/**
 * Listens on 127.0.0.1 and resolves to the base URL, such as `http://127.0.0.1:9000`.
 *
 * @param port 0 for a free one.
 */
export const listenLocally = async (server: Server, port: number): Promise<string> => {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', resolve)
  })
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the server listens on no port')
  return `http://127.0.0.1:${address.port}`
}

/** Ends every connection and resolves when the port is free again. */
export const closeServer = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
