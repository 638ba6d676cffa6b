import { isIP } from 'node:net'

const HOST = /^(\[[0-9a-f:.]+\]|[a-z0-9_.-]+)(?::[0-9]{1,5})?$/
const LOOPBACK = /^(localhost|127(?:\.[0-9]{1,3}){3}|\[::1\])$/

/**
 * True when a request means this port, and does not come from a page whose name was made to lead here (DNS rebinding).
 *
 * Right are localhost, loopback addresses, the address that it came in by, the host of `bind` and what is listed;
 * the port does not matter, since it may be forwarded.
 *
 * @param given    every `Host` field of the request.
 * @param listed   `admin.hosts`, in lower case.
 * @param arrivedAt the local address of the connection.
 */
export const isRightHost = (
  given: readonly string[],
  {
    bind,
    listed,
    arrivedAt,
  }: { readonly bind: string; readonly listed: readonly string[]; readonly arrivedAt: string },
): boolean => {
  const [only] = given
  if (only === undefined || given.length > 1) return false
  const host = HOST.exec(only.toLowerCase())?.[1]?.replace(/(?<=.)\.$/, '')
  if (host === undefined) return false
  if (LOOPBACK.test(host) || listed.includes(host)) return true
  return host === bind.slice(0, bind.lastIndexOf(':')).toLowerCase() || host === bracketed(arrivedAt)
}

const bracketed = (address: string): string => {
  const plain = address.toLowerCase().replace(/^::ffff:(?=[0-9.]+$)/, '')
  return isIP(plain) === 6 ? `[${plain}]` : plain
}
