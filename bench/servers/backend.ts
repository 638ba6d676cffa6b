// The application behind every subject: plain TCP with one prepared answer, so that it never is what is measured.
import { createServer, type Socket } from 'node:net'

const SMALL = Buffer.from('{"accountId":"42","balanceCents":129900,"currency":"EUR"}')
const LARGE = Buffer.alloc(16 * 1024 * 1024, 'x')

const head = (body: Buffer): Buffer =>
  Buffer.from(
    `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\nConnection: keep-alive\r\n\r\n`,
  )

const SMALL_ANSWER = Buffer.concat([head(SMALL), SMALL])
const LARGE_HEAD = head(LARGE)
const END_OF_HEAD = '\r\n\r\n'

const answer = (socket: Socket, requestLine: string): void => {
  if (!requestLine.includes('/large')) {
    socket.write(SMALL_ANSWER)
    return
  }
  socket.write(LARGE_HEAD)
  socket.write(LARGE)
}

const LENGTH = /^content-length: *(\d+)/im

/** Answers each request when its content has arrived; what is sent in chunks is not expected. */
const serve = (socket: Socket): void => {
  let pending = ''
  let owed = 0
  let requestLine = ''
  socket.setNoDelay(true)
  socket.on('error', () => socket.destroy())
  socket.on('data', (chunk) => {
    pending += chunk.toString('latin1')
    for (;;) {
      const content = Math.min(owed, pending.length)
      pending = pending.slice(content)
      owed -= content
      if (owed > 0) return
      if (requestLine !== '') answer(socket, requestLine)
      requestLine = ''
      const end = pending.indexOf(END_OF_HEAD)
      if (end === -1) return
      const head = pending.slice(0, end)
      requestLine = head.slice(0, head.indexOf('\r\n'))
      owed = Number(LENGTH.exec(head)?.[1] ?? 0)
      pending = pending.slice(end + END_OF_HEAD.length)
    }
  })
}

createServer(serve).listen(Number(process.argv[2]), '127.0.0.1')
