import { isIPv4 } from 'node:net'

/** True for a host of a URL that is this machine, by which nothing goes over a network. */
export const isLoopback = (hostname: string): boolean =>
  hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'))
