// http-proxy and no decision at all: as its documentation starts it, or (third argument `kept`) with connections
// to the application that are kept, which has to be asked for.
import { Agent, createServer } from 'node:http'
import httpProxy from 'http-proxy'

const [port, target, connections] = process.argv.slice(2)
const proxy = httpProxy.createProxyServer({
  target: `http://127.0.0.1:${target}`,
  ...(connections === 'kept' ? { agent: new Agent({ keepAlive: true, maxSockets: 256 }) } : {}),
})
proxy.on('error', (_error, _request, response) => response.destroy())
createServer((request, response) => proxy.web(request, response)).listen(Number(port), '127.0.0.1')
