import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { after, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { startHttpBackend } from '../../support/backend.ts'
import { type Gateway, type GatewayOptions, startGateway } from './harness.ts'

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

const closers: (() => Promise<void>)[] = []
after(async () => {
  for (const close of closers) await close()
})

const start = async (
  listener: (request: IncomingMessage, response: ServerResponse) => void,
  options: GatewayOptions = {},
): Promise<Gateway> => {
  const backend = await startHttpBackend(listener)
  const gateway = await startGateway(backend.url, options)
  closers.push(gateway.close, backend.close)
  return gateway
}

const CHUNK = Buffer.alloc(64 * 1024, 'sallyport ')
const TWENTY_MB = 320
const MANY = 1024

const digestOf = (chunks: number): string => {
  const hash = createHash('sha256')
  for (let index = 0; index < chunks; index += 1) hash.update(CHUNK)
  return hash.digest('hex')
}

interface Sink {
  write(chunk: Buffer): boolean
  once(event: 'drain', listener: () => void): unknown
}

/** Writes chunks as fast as the other side takes them; tells how many were taken. */
const pour = (sink: Sink, chunks: number, done: () => void): { readonly written: () => number } => {
  let written = 0
  const more = (): void => {
    while (written < chunks) {
      written += 1
      if (!sink.write(CHUNK)) {
        sink.once('drain', more)
        return
      }
    }
    done()
  }
  more()
  return { written: () => written }
}

const consume = (stream: IncomingMessage): Promise<string> =>
  new Promise((resolve, reject) => {
    const hash = createHash('sha256')
    stream.on('data', (chunk: Buffer) => hash.update(chunk))
    stream.on('end', () => resolve(hash.digest('hex')))
    stream.on('error', reject)
    stream.resume()
  })

const responseOf = (port: number, method = 'GET'): Promise<IncomingMessage> =>
  new Promise((resolve, reject) => {
    httpRequest({ port, host: '127.0.0.1', method }, resolve).on('error', reject).end()
  })

/** Waits until a count has stopped growing. */
const stalled = async (count: () => number): Promise<number> => {
  for (let last = -1, same = 0; ; ) {
    await sleep(20)
    same = count() === last ? same + 1 : 0
    last = count()
    if (same === 10) return last
  }
}

const bufferBytes = (): number => process.memoryUsage().arrayBuffers

describe('20 MB', () => {
  it('come down whole', async () => {
    const gateway = await start((_request, response) => {
      pour(response, TWENTY_MB, () => response.end())
    })
    assert.equal(await consume(await responseOf(gateway.port)), digestOf(TWENTY_MB))
  })

  for (const framing of ['Content-Length', 'chunked']) {
    it(`go up whole, by ${framing}`, async () => {
      let received = ''
      const gateway = await start(async (request, response) => {
        received = await consume(request)
        response.end(received)
      })
      const headers = framing === 'chunked' ? {} : { 'Content-Length': TWENTY_MB * CHUNK.length }
      const answer = await new Promise<IncomingMessage>((resolve, reject) => {
        const upload = httpRequest({ port: gateway.port, host: '127.0.0.1', method: 'PUT', headers }, resolve)
        upload.on('error', reject)
        pour(upload, TWENTY_MB, () => upload.end())
      })
      answer.resume()
      assert.equal(received, digestOf(TWENTY_MB))
    })
  }
})

describe('a reader that stops', () => {
  it('stops the application, and gets everything when it goes on', async () => {
    let poured = { written: () => 0 }
    const gateway = await start((_request, response) => {
      poured = pour(response, MANY, () => response.end())
    })
    const answer = await responseOf(gateway.port)
    answer.pause()
    const taken = await stalled(() => poured.written())
    // The rest is what the buffers of four sockets hold.
    assert.ok(taken < MANY / 2, `${taken} of ${MANY} chunks were taken though nobody reads`)
    assert.ok(gateway.pauses() > 0)
    assert.equal(await consume(answer), digestOf(MANY))
  })

  it('is cut when it never goes on', async () => {
    const gateway = await start(
      (_request, response) => {
        response.on('error', () => undefined)
        pour(response, MANY, () => response.end())
      },
      { upstream: { stallTimeout: 100 } },
    )
    const answer = await responseOf(gateway.port)
    answer.pause()
    await gateway.settled(1)
    await assert.rejects(consume(answer))
  })
})

describe('an application that stops reading', () => {
  it('stops the caller, and gets everything when it goes on', async () => {
    let goOn = (): void => undefined
    let received: Promise<string> = Promise.resolve('')
    const gateway = await start((request, response) => {
      goOn = () => {
        received = consume(request)
        void received.then(() => response.end('done'))
      }
    })
    const headers = { 'Content-Length': MANY * CHUNK.length }
    const answer = await new Promise<IncomingMessage>((resolve, reject) => {
      const upload = httpRequest({ port: gateway.port, host: '127.0.0.1', method: 'PUT', headers }, resolve)
      upload.on('error', reject)
      const poured = pour(upload, MANY, () => upload.end())
      void stalled(() => poured.written()).then((taken) => {
        assert.ok(taken < MANY / 2, `${taken} of ${MANY} chunks were taken though nobody reads`)
        goOn()
      }, reject)
    })
    answer.resume()
    assert.equal(await received, digestOf(MANY))
  })
})

const LOOK_EVERY_BYTES = 4 * 1024 * 1024

describe('the memory for a body', () => {
  it('does not grow with it', async () => {
    const gateway = await start((_request, response) => {
      pour(response, MANY, () => response.end())
    })
    let most = 0
    let untilNext = LOOK_EVERY_BYTES
    const answer = await responseOf(gateway.port)
    answer.on('data', (chunk: Buffer) => {
      untilNext -= chunk.length
      if (untilNext > 0) return
      untilNext = LOOK_EVERY_BYTES
      // What is held counts, and not what nobody has collected yet. V8 gives buffers back beside the program, and has
      // done so when the next collection begins.
      collectGarbage()
      collectGarbage()
      most = Math.max(most, bufferBytes())
    })
    await consume(answer)
    const whole = MANY * CHUNK.length
    assert.ok(most > 0 && most < whole / 4, `${most} bytes of buffers for an answer of ${whole}`)
  })
})
