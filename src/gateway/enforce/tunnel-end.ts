import { Duplex } from 'node:stream'
import type { StreamEnder, StreamLease } from '../../core/stream.ts'
import { STALLED } from './upstream-failure.ts'
import { CLOSE_GOING_AWAY, CLOSE_POLICY, createFrameTracker } from './websocket-frames.ts'

export interface TunnelEndOptions {
  /** How long the caller may take nothing of what is sent. */
  readonly stallTimeoutMs: number
  /** The tunnel was cut; told once. */
  readonly onCut: (code: string) => void
  /** What the tunnel lives on. */
  readonly lease: StreamLease
}

/** The caller's end of a tunnel, before there is a connection to the caller. */
export interface TunnelEnd {
  /** What http-proxy takes for the caller's socket. */
  readonly stream: Duplex
  /** Joins it to the caller and to the application; each goes with the other. */
  readonly attach: (caller: Duplex, application: Duplex) => void
  /** Tells the caller that the gateway goes away (1001). Its answer then ends the application's side. */
  readonly sayGoodbye: () => void
  /** Ends it: nothing of the caller reaches the application any more, and the caller is told (1008). */
  readonly revoke: () => void
}

// One side has ended, and the other may have some more to say. A connection that is gone would never say so.
const HALF_OPEN_MS = 30_000
/** How long a frame may take to end, so that the caller can be told before the connection is closed. */
const FRAME_END_MS = 400
/** How long the caller may take to close a connection that was ended. */
const LINGER_MS = 400

/**
 * Makes what stands between http-proxy and the caller's connection.
 *
 * The first that http-proxy writes is a response head of its own making, which is dropped: the real one has gone out
 * by then. Errors of the caller's connection do not reach http-proxy, which would leave the other side open.
 */
export const createTunnelEnd = ({ stallTimeoutMs, onCut, lease }: TunnelEndOptions): TunnelEnd => {
  const frames = createFrameTracker()
  const asked = createFrameTracker()
  let closedBy: StreamEnder | null = null
  let caller: Duplex | null = null
  let headDropped = false
  /** The frame that is to be put behind the one that is under way. */
  let goodbye: Buffer | null = null
  let isSaid = false
  let revoked = false
  let parted = false

  const send = (to: Duplex, bytes: Buffer, done: () => void): void => {
    lease.sent(bytes.length)
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
    if (isSaid) return done()
    if (goodbye === null) {
      frames.read(chunk)
      if (frames.isClosing()) closedBy ??= 'application'
      return send(to, chunk, done)
    }
    const rest = chunk.subarray(0, frames.read(chunk, 'stop'))
    if (!frames.isBetween()) return send(to, rest, done)
    isSaid = true
    const closing = frames.isClosing() ? rest : Buffer.concat([rest, goodbye])
    if (!revoked) return send(to, closing, done)
    to.write(closing)
    part(to)
    done()
  }

  /** Ends the caller's connection in a way that lets him read the last frame; what he still sends is dropped. */
  const part = (from: Duplex): void => {
    parted = true
    from.end()
    from.resume()
    const timer = setTimeout(() => from.destroy(), LINGER_MS)
    from.once('close', () => clearTimeout(timer))
    stream.destroy()
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
      if (!parted) caller?.destroy()
      done(null)
    },
  })
  // http-proxy sets these on it, as on a socket; the connection has them already.
  const socketLike = { setTimeout: nothing, setNoDelay: nothing, setKeepAlive: nothing }

  const say = (frame: Buffer): 'said' | 'later' | 'needless' => {
    if (isSaid || frames.isClosing() || caller === null) return 'needless'
    goodbye = frame
    if (!frames.isBetween()) return 'later'
    isSaid = true
    caller.write(frame)
    return 'said'
  }

  return {
    stream: Object.assign(stream, socketLike),
    attach: (to, application) => {
      caller = to
      bindLives(stream, to, application, (by) => lease.ended(closedBy ?? by))
      to.on('data', (chunk: Buffer) => {
        if (revoked) return
        lease.received(chunk.length)
        asked.read(chunk)
        if (asked.isClosing()) closedBy ??= 'caller'
        if (!stream.push(chunk)) to.pause()
      })
      to.on('end', () => {
        if (!revoked) stream.push(null)
      })
    },
    sayGoodbye: () => {
      if (goodbye !== null) return
      if (say(CLOSE_GOING_AWAY) !== 'needless') closedBy ??= 'gateway'
    },
    revoke: () => {
      if (revoked || caller === null) return
      revoked = true
      if (say(CLOSE_POLICY) !== 'later') return part(caller)
      const timer = setTimeout(() => stream.destroy(), FRAME_END_MS)
      stream.once('close', () => clearTimeout(timer))
    },
  }
}

/** Nobody is left with half of a tunnel: what ends is followed by the other side, what breaks breaks the other. */
const bindLives = (stream: Duplex, caller: Duplex, application: Duplex, over: StreamLease['ended']): void => {
  let halfOpen: NodeJS.Timeout | undefined
  const cut = (): void => {
    clearTimeout(halfOpen)
    stream.destroy()
    application.destroy()
    over('caller')
  }
  const ended = (): void => {
    halfOpen ??= setTimeout(cut, HALF_OPEN_MS)
  }
  caller.on('error', nothing).on('end', ended).once('close', cut)
  const left = (): void => over('application')
  application.on('error', left).on('error', cut).on('end', left).on('end', ended)
  application.once('close', () => {
    left()
    // After an end, the rest of what it said may still be on its way to the caller.
    if (!application.readableEnded) cut()
  })
  stream.on('error', nothing)
  stream.once('close', cut)
  if (caller.destroyed || application.destroyed) cut()
}

const nothing = (): void => undefined
