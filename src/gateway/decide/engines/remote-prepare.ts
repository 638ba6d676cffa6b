import { isIPv4 } from 'node:net'
import type { Preparation } from '../../../core/settings.ts'
import type { RemoteConfig } from './remote-config.ts'
import { prepareRemoteTls, type RemoteTls } from './remote-tls.ts'

const isLoopback = (hostname: string): boolean =>
  hostname === 'localhost' || hostname === '[::1]' || (isIPv4(hostname) && hostname.startsWith('127.'))

/** Checks what every engine over HTTP has, and reads its files. */
export const prepareRemote = (
  config: RemoteConfig,
  preparation: Pick<Preparation, 'readFile' | 'report'>,
): RemoteTls | null => {
  const { protocol, hostname } = new URL(config.url)
  if (config.token !== undefined && protocol === 'http:' && !isLoopback(hostname)) {
    const message = 'the token goes to another machine in clear: expected an https url'
    preparation.report({ path: ['token'], rule: 'token-in-clear', severity: 'warning', message, atKey: true })
  }
  return prepareRemoteTls(config, preparation)
}
