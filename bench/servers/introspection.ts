// The provider that is asked what an opaque token is: it knows them all, at once.
import { createServer } from 'node:http'

createServer((request, response) => {
  let form = ''
  request.setEncoding('utf8')
  request.on('data', (chunk: string) => {
    form += chunk
  })
  request.on('end', () => {
    const sub = new URLSearchParams(form).get('token') ?? ''
    const exp = Math.floor(Date.now() / 1000) + 3600
    const answer = JSON.stringify({ active: true, sub, exp, aud: 'bank', groups: ['clerks'] })
    response.writeHead(200, {
      'Content-Type': 'application/json',
      'Content-Length': Buffer.byteLength(answer),
    })
    response.end(answer)
  })
}).listen(Number(process.argv[2]), '127.0.0.1')
