import { Duplex } from 'node:stream'
import { STALLED } from './upstream-failure.ts'
import { CLOSE_GOING_AWAY, createFrameTracker } from './websocket-frames.ts'

export interface TunnelEndOptions {
  /** How long the caller may take nothing of what is sent. */
  readonly stallTimeoutMs: number
  /** The tunnel was cut; told once. */
  readonly onCut: (code: string) => void
}

/** The caller's end of a tunnel, before there is a connection to the caller. */
export interface TunnelEnd {
  /** What http-proxy takes for the caller's socket. */
  readonly stream: Duplex
  /** Joins it to the caller and to the application; each goes with the other. */
  readonly attach: (caller: Duplex, application: Duplex) => void
  /** Tells the caller that the gateway goes away (1001). Its answer then ends the application's side. */
  readonly sayGoodbye: () => void
}

// One side has ended, and the other may have some more to say. A connection that is gone would never say so.
const HALF_OPEN_MS = 30_000

/**
 * Makes what stands between http-proxy and the caller's connection.
 *
 * The first that http-proxy writes is a response head of its own making, which is dropped: the real one has gone out
 * by then. Errors of the caller's connection do not reach http-proxy, which would leave the other side open.
 */
export const createTunnelEnd = ({ stallTimeoutMs, onCut }: TunnelEndOptions): TunnelEnd => {
  const frames = createFrameTracker()
  let caller: Duplex | null = null
  let headDropped = false
  let goodbye: 'unsaid' | 'wanted' | 'said' = 'unsaid'

  const send = (to: Duplex, bytes: Buffer, done: () => void): void => {
    if (to.write(bytes)) return done()
    const stalled = setTimeout(() => {
      onCut(STALLED)
      stream.destroy()
    }, stallTimeoutMs)
    const over = (): void => {
      clearTimeout(stalled)
      to.off('drain', goOn).off('close', over)
    }
    const goOn = (): void => {
      over()
      done()
    }
    to.on('drain', goOn).on('close', over)
  }

  const sendFrames = (to: Duplex, chunk: Buffer, done: () => void): void => {
    if (goodbye === 'said') return done()
    if (goodbye === 'unsaid') {
      frames.read(chunk)
      return send(to, chunk, done)
    }
    const rest = chunk.subarray(0, frames.read(chunk, 'stop'))
    if (!frames.isBetween()) return send(to, rest, done)
    goodbye = 'said'
    send(to, frames.isClosing() ? rest : Buffer.concat([rest, CLOSE_GOING_AWAY]), done)
  }

  const stream = new Duplex({
    read: () => {
      caller?.resume()
    },
    write: (chunk: Buffer, _encoding, done) => {
      if (caller !== null && headDropped) return sendFrames(caller, chunk, done)
      headDropped = true
      done()
    },
    final: (done) => {
      caller?.end()
      done()
    },
    destroy: (_error, done) => {
      caller?.destroy()
      done(null)
    },
  })
  // http-proxy sets these on it, as on a socket; the connection has them already.
  const socketLike = { setTimeout: nothing, setNoDelay: nothing, setKeepAlive: nothing }

  return {
    stream: Object.assign(stream, socketLike),
    attach: (to, application) => {
      caller = to
      bindLives(stream, to, application)
      to.on('data', (chunk: Buffer) => {
        if (!stream.push(chunk)) to.pause()
      })
      to.on('end', () => stream.push(null))
    },
    sayGoodbye: () => {
      if (goodbye !== 'unsaid' || frames.isClosing() || caller === null) return
      if (!frames.isBetween()) goodbye = 'wanted'
      else {
        goodbye = 'said'
        caller.write(CLOSE_GOING_AWAY)
      }
    },
  }
}

/** Nobody is left with half of a tunnel: what ends is followed by the other side, what breaks breaks the other. */
const bindLives = (stream: Duplex, caller: Duplex, application: Duplex): void => {
  let halfOpen: NodeJS.Timeout | undefined
  const cut = (): void => {
    clearTimeout(halfOpen)
    stream.destroy()
    application.destroy()
  }
  const ended = (): void => {
    halfOpen ??= setTimeout(cut, HALF_OPEN_MS)
  }
  caller.on('error', nothing).on('end', ended).once('close', cut)
  application.on('error', cut).on('end', ended)
  application.once('close', () => {
    // After an end, the rest of what it said may still be on its way to the caller.
    if (!application.readableEnded) cut()
  })
  stream.on('error', nothing)
  stream.once('close', cut)
  if (caller.destroyed || application.destroyed) cut()
}

const nothing = (): void => undefined
