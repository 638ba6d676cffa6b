// The decision service that nginx and Caddy ask: it says yes to whoever brings a credential, and does nothing else.
import { createServer } from 'node:http'

createServer((request, response) => {
  response.writeHead(request.headers.authorization === undefined ? 401 : 204).end()
}).listen(Number(process.argv[2]), '127.0.0.1')
