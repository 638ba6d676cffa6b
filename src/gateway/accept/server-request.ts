import { IncomingMessage } from 'node:http'
import { type HeaderPairs, headerValues } from '../../core/headers.ts'
import { isWebSocketHandshake } from './websocket-handshake.ts'

const ASKED = Symbol('the parser found a request to upgrade')
const READ = Symbol('somebody has begun to read')
const ENDS = Symbol('it has ended without content, and nobody has been told')
const OVER = Symbol('nobody will ask')

/**
 * A request as Node's server makes it, with less done for it.
 *
 * Node's parser makes a tunnel of it only if it is a handshake that we know, or a CONNECT: the parser itself would take
 * any `Upgrade` for one, and the body of such a request for another protocol.
 *
 * The end of one without content is told to whoever reads it, and not said where nobody does: a stream takes half a
 * dozen steps to end, and most requests have nothing to read. Node has an option for much the same
 * from 24.12 on (docs/adr/0014-one-object-for-each-side-of-a-request.md).
 *
 * A class, since Node makes its requests by one, and asks each for `upgrade` before it goes on.
 */
export class ServerRequest extends IncomingMessage {
  /** Declared only: the constructor of Node's class has set it by then. */
  declare [ASKED]: boolean
  declare [READ]: boolean | undefined
  declare [ENDS]: boolean | undefined
  declare [OVER]: boolean | undefined

  get upgrade(): boolean {
    return this[ASKED] && (this.method === 'CONNECT' || isWebSocketHandshake(this))
  }

  set upgrade(asked: boolean | null) {
    this[ASKED] = asked === true
  }

  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    const isUntouched = this[READ] !== true && this.readableLength === 0 && !this.readableDidRead
    if (chunk !== null || !isUntouched) return super.push(chunk, encoding)
    this[ENDS] = true
    return false
  }

  override _read(size: number): void {
    this[READ] = true
    super._read(size)
    if (this[ENDS] !== true) return
    this[ENDS] = false
    super.push(null)
  }

  override resume(): this {
    // Node's mark of a request that nobody has read when its answer has gone; anybody else may still wait for the end.
    const isDumped = Reflect.get(this, '_dumped') === true
    if (this[ENDS] !== true || !isDumped || isWatched(this)) return super.resume()
    this[OVER] = true
    return this
  }
}

// By themselves, since Node's types declare them as plain properties.
Object.defineProperties(ServerRequest.prototype, {
  // All that Node's server itself looks for; it would make an object of all fields for that, with each request. Nobody
  // else may go by it, or by anything but `rawHeaders`.
  headers: {
    get(this: ServerRequest) {
      return { expect: joined(this.rawHeaders, 'expect'), te: joined(this.rawHeaders, 'te') }
    },
  },
  // Node's server lets go of a request when this says so.
  readableEnded: {
    get(this: ServerRequest) {
      return this[OVER] === true || Reflect.get(IncomingMessage.prototype, 'readableEnded', this)
    },
  },
})

const WATCHED = ['data', 'readable', 'end', 'close'] as const

const isWatched = (request: ServerRequest): boolean =>
  WATCHED.some((event) => request.listenerCount(event) > 0)

const joined = (fields: HeaderPairs, name: string): string | undefined => {
  const values = headerValues(fields, name)
  return values.length === 0 ? undefined : values.join(', ')
}
