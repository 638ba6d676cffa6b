import { isIP } from 'node:net'
import { splitBind } from '../core/bind-address.ts'

/** The names that an admin port goes by. */
export interface OwnNames {
  /** `host:port`. */
  readonly bind: string
  /** `admin.hosts`, in lower case. */
  readonly listed: readonly string[]
  /** The local address of the connection. */
  readonly arrivedAt: string
}

const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::[0-9]{1,5})?$/
const LOOPBACK = /^(localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])$/

/**
 * True when a request means this port, and does not come from a page whose name was made to lead here (DNS rebinding).
 *
 * Right are localhost, loopback addresses, the address that it came in by, the host of `bind` and what is listed;
 * the port does not matter, since it may be forwarded.
 *
 * @param given every `Host` field of the request.
 */
export const isRightHost = (given: readonly string[], own: OwnNames): boolean => {
  const [only] = given
  return only !== undefined && given.length === 1 && isOwnName(only, own)
}

/**
 * False when a browser says that a page from elsewhere has made the request.
 *
 * @param origins every `Origin` field of the request; programs other than browsers send none.
 * @param host the `Host` that it has, which was found right before.
 * @see https://fetch.spec.whatwg.org/#origin-header
 */
export const isOwnOrigin = (origins: readonly string[], host: string): boolean =>
  origins.every((origin) => {
    const [, scheme = '', authority = ''] = /^(https?):\/\/([^/]+)$/.exec(origin.toLowerCase()) ?? []
    const usual = scheme === 'https' ? /:443$/ : /:80$/
    return authority !== '' && authority.replace(usual, '') === host.toLowerCase().replace(usual, '')
  })

const isOwnName = (text: string, { bind, listed, arrivedAt }: OwnNames): boolean => {
  const host = HOST.exec(text.toLowerCase())?.[1]?.replace(/(?<=.)\.$/, '')
  if (host === undefined) return false
  if (LOOPBACK.test(host) || listed.includes(host)) return true
  return host === bracketed(splitBind(bind).host) || host === bracketed(arrivedAt)
}

const bracketed = (address: string): string => {
  const plain = address.toLowerCase().replace(/^::ffff:(?=[0-9.]+$)/, '')
  return isIP(plain) === 6 ? `[${plain}]` : plain
}
