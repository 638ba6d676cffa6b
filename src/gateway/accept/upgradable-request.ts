import { IncomingMessage } from 'node:http'
import { type HeaderPairs, headerValues } from '../../core/headers.ts'
import { isWebSocketHandshake } from './websocket-handshake.ts'

const ASKED = Symbol('the parser found a request to upgrade')

/**
 * A request of which Node's parser makes a tunnel only if it is a handshake that we know, or a CONNECT.
 *
 * The parser itself would take any `Upgrade` for one, and the body of such a request for another protocol. A class,
 * since Node makes its requests by one, and asks each for `upgrade` before it goes on.
 */
export class UpgradableRequest extends IncomingMessage {
  /** Declared only: the constructor of Node's class has set it by then. */
  declare [ASKED]: boolean

  get upgrade(): boolean {
    return this[ASKED] && (this.method === 'CONNECT' || isWebSocketHandshake(this))
  }

  set upgrade(asked: boolean | null) {
    this[ASKED] = asked === true
  }
}

// All that Node's server itself looks for; it would make an object of all fields for that, with each request. Nobody
// else may go by it, or by anything but `rawHeaders`.
Object.defineProperty(UpgradableRequest.prototype, 'headers', {
  get(this: UpgradableRequest) {
    return { expect: joined(this.rawHeaders, 'expect'), te: joined(this.rawHeaders, 'te') }
  },
})

const joined = (fields: HeaderPairs, name: string): string | undefined => {
  const values = headerValues(fields, name)
  return values.length === 0 ? undefined : values.join(', ')
}
