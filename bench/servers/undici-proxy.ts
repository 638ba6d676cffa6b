// The least that a proxy on Node can be: node:http in front, undici's dispatcher behind, and no decision at all.
import { createServer } from 'node:http'
import { Pool } from 'undici'

const [port, target] = process.argv.slice(2)
const pool = new Pool(`http://127.0.0.1:${target}`, { connections: 256, pipelining: 1 })

const HOP_BY_HOP = new Set(['connection', 'keep-alive', 'transfer-encoding', 'te', 'trailer', 'upgrade'])

const withoutHopByHop = (raw: readonly string[]): string[] => {
  const kept: string[] = []
  for (let at = 0; at + 1 < raw.length; at += 2) {
    const name = raw[at] ?? ''
    if (!HOP_BY_HOP.has(name.toLowerCase())) kept.push(name, raw[at + 1] ?? '')
  }
  return kept
}

createServer((request, response) => {
  pool.dispatch(
    {
      path: request.url ?? '/',
      method: request.method === 'POST' ? 'POST' : 'GET',
      headers: withoutHopByHop(request.rawHeaders),
      body: request.method === 'POST' ? request : null,
    },
    {
      onConnect: () => undefined,
      onError: () => response.destroy(),
      onHeaders: (status, raw) => {
        const headers = withoutHopByHop((raw ?? []).map((part) => part.toString('latin1')))
        response.writeHead(status, headers)
        return true
      },
      onData: (chunk) => response.write(chunk),
      onComplete: () => {
        response.end()
      },
    },
  )
}).listen(Number(port), '127.0.0.1')
