import assert from 'node:assert/strict'
import { createCipheriv, createHash } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { type Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { test } from 'node:test'
import { startHttpBackend } from '../support/backend.ts'
import { type GatewayProcess, layOut, startGatewayProcess } from '../support/gateway.ts'
import { buildCity, HOST, tokenOf } from './city.ts'

const MIB = 1024 * 1024
const BODY_BYTES = 20 * MIB
const AT_ONCE = 10
// Ten bodies are 200 MiB. What a stream may hold of one is far less, and garbage waits a while to be collected.
const MAX_GROWTH = 100 * MIB

const CONTENT = createCipheriv('aes-128-ctr', Buffer.alloc(16, 'k'), Buffer.alloc(16)).update(
  Buffer.alloc(BODY_BYTES),
)

/** Twenty megabytes that are unlike those of every other number. */
const partsOf = (number: number): readonly Buffer[] => {
  const start = (number + 1) * 4096
  return [CONTENT.subarray(start), CONTENT.subarray(0, start)]
}

const hashOf = (number: number): string => {
  const hash = createHash('sha256')
  for (const part of partsOf(number)) hash.update(part)
  return hash.digest('hex')
}

const chunks = function* (number: number): Generator<Buffer> {
  for (const part of partsOf(number)) {
    for (let at = 0; at < part.length; at += 65_536) yield part.subarray(at, at + 65_536)
  }
}

const hashStream = async (stream: Readable): Promise<string> => {
  const hash = createHash('sha256')
  for await (const chunk of stream) hash.update(chunk)
  return hash.digest('hex')
}

/** Counts what each sender could get rid of, so that it can be told when all of them are held up. */
const createMeter = () => {
  let sent = 0
  const through = (sink: Writable): Writable =>
    new Writable({
      highWaterMark: 65_536,
      write: (chunk: Buffer, _encoding, callback) => {
        const count = (): void => {
          sent += chunk.length
          callback()
        }
        if (sink.write(chunk)) count()
        else sink.once('drain', count)
      },
      final: (callback) => {
        sink.end(callback)
      },
    })
  /** Resolves with the bytes sent so far once nobody could send anything for a while. */
  const heldUp = async (): Promise<number> => {
    for (let before = -1; before !== sent; ) {
      before = sent
      await new Promise((resolve) => setTimeout(resolve, 400))
    }
    return sent
  }
  return { through, heldUp }
}

/** The most memory that the process had since `forgetPeak`, in bytes. */
const peakOf = ({ child }: GatewayProcess): number => {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8')
  return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1]) * 1024
}

/** @see proc_pid_clear_refs(5) */
const forgetPeak = ({ child }: GatewayProcess): void => writeFileSync(`/proc/${child.pid}/clear_refs`, '5')

const numberOf = ({ url = '' }: IncomingMessage): number => Number(url.split('/').at(-1))

test('bodies of 20 MiB pass both ways, byte for byte, and are at no time in memory as a whole', {
  skip: existsSync('/proc/self/status') ? false : 'there is no /proc to read the memory of a process from',
}, async () => {
  const downloads = createMeter()
  let release = (): void => undefined
  const released = new Promise<void>((resolve) => {
    release = resolve
  })
  const backend = await startHttpBackend(async (request, response) => {
    const number = numberOf(request)
    if (request.method === 'GET') {
      response.writeHead(200, { 'content-length': BODY_BYTES })
      await pipeline(chunks(number), downloads.through(response))
      return
    }
    if (number < AT_ONCE) await released
    response.end(await hashStream(request))
  })
  const city = await buildCity({ upstream: backend.url })
  const directory = layOut(city.world)
  const gateway = await startGatewayProcess(directory, { env: city.env })
  const ask = (method: string, number: number, headers: Readonly<Record<string, string | number>> = {}) =>
    httpRequest({
      host: '127.0.0.1',
      port: gateway.port,
      method,
      path: `/files/${number}`,
      agent: false,
      headers: { host: HOST, authorization: `Bearer ${tokenOf(city, 'alice')}`, ...headers },
    })
  const answerTo = async (request: ReturnType<typeof ask>): Promise<IncomingMessage> => {
    const [response]: IncomingMessage[] = await once(request, 'response')
    return response ?? assert.fail('no answer')
  }
  const download = (number: number) => answerTo(ask('GET', number).end())
  const upload = (number: number, sink: (request: Writable) => Writable, headers = {}) => {
    const request = ask('PUT', number, headers)
    const answer = answerTo(request)
    return { answer, sent: pipeline(chunks(number), sink(request)) }
  }
  const all = Array.from({ length: AT_ONCE }, (_, number) => number)

  // Once each to load the code and let the heap find its size.
  assert.equal(await hashStream(await download(90)), hashOf(90))
  const first = upload(91, (request) => request, { 'content-length': BODY_BYTES })
  assert.equal((await (await first.answer).toArray()).join(''), hashOf(91))
  forgetPeak(gateway)
  const before = peakOf(gateway)

  // Nobody reads what comes down until nothing more goes through: what is missing then waits where it came from.
  const responses = await Promise.all(all.map(download))
  assert.ok((await downloads.heldUp()) < AT_ONCE * BODY_BYTES, 'everything was taken before anybody read')
  assert.deepEqual(await Promise.all(responses.map(hashStream)), all.map(hashOf))

  // The same upwards: half of them by length, half of them chunked.
  const uploads = createMeter()
  const sending = all.map((number) =>
    upload(number, uploads.through, number % 2 === 0 ? { 'content-length': BODY_BYTES } : {}),
  )
  assert.ok((await uploads.heldUp()) < AT_ONCE * BODY_BYTES, 'everything was taken before anybody read')
  release()
  await Promise.all(sending.map(({ sent }) => sent))
  const answers = await Promise.all(
    sending.map(async ({ answer }) => (await (await answer).toArray()).join('')),
  )
  assert.deepEqual(answers, all.map(hashOf))

  const growth = peakOf(gateway) - before
  assert.ok(growth < MAX_GROWTH, `the process grew by ${Math.round(growth / MIB)} MiB`)
  console.log('growth', growth / MIB, before / MIB)
  gateway.child.kill('SIGTERM')
  assert.equal(await gateway.ended, 0)
  rmSync(directory, { recursive: true })
  await backend.close()
})
