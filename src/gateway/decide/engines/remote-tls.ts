import { createSecureContext, type SecureContextOptions } from 'node:tls'
import { z } from 'zod'
import type { Preparation, Settings } from '../../../core/settings.ts'

/** How an engine is known by its certificate, and Sallyport by its own. */
export interface RemoteTls {
  readonly connect: Pick<SecureContextOptions, 'ca' | 'cert' | 'key' | 'minVersion'> & {
    readonly servername?: string
  }
}

export const remoteTlsConfig = (s: Settings) =>
  z.strictObject({
    caFile: s
      .path()
      .optional()
      .describe("PEM file with the certificates to trust, default those of Node's own list."),
    certFile: s
      .path()
      .optional()
      .describe('PEM file with the certificate that Sallyport shows to the engine, default none.'),
    keyFile: s.path().optional().describe('PEM file with the private key of certFile, default none.'),
    serverName: z
      .string()
      .min(1)
      .optional()
      .describe("Name that the engine's certificate must have, default the host of `url`."),
  })

export type RemoteTlsConfig = z.infer<ReturnType<typeof remoteTlsConfig>>

const RULE = 'engine-tls'

/** Reads and checks the files of an engine's `tls`; null when there is none, or a mistake was reported. */
export const prepareRemoteTls = (
  { url, tls }: { readonly url: string; readonly tls?: RemoteTlsConfig | undefined },
  { readFile, report }: Pick<Preparation, 'readFile' | 'report'>,
): RemoteTls | null => {
  if (tls === undefined) return null
  if (!url.toLowerCase().startsWith('https:')) {
    report({
      path: ['tls'],
      rule: RULE,
      message: 'found tls for an engine whose url is not https',
      atKey: true,
    })
  }
  if ((tls.certFile === undefined) !== (tls.keyFile === undefined)) {
    report({ path: ['tls'], rule: RULE, message: 'found one of certFile and keyFile, expected both or none' })
  }
  const read = (key: 'caFile' | 'certFile' | 'keyFile'): Buffer | null => {
    const file = tls[key]
    return file === undefined ? null : readFile(file, ['tls', key])
  }
  const files = { ca: read('caFile'), cert: read('certFile'), key: read('keyFile') }
  const material = Object.fromEntries(Object.entries(files).filter(([, content]) => content !== null))
  try {
    createSecureContext(material)
  } catch (error) {
    const code: unknown = error instanceof Error ? Reflect.get(error, 'code') : undefined
    report({ path: ['tls'], rule: RULE, message: `the files cannot be used together (${code ?? 'OpenSSL'})` })
    return null
  }
  const { serverName } = tls
  return {
    connect: {
      ...material,
      minVersion: 'TLSv1.2',
      ...(serverName === undefined ? {} : { servername: serverName }),
    },
  }
}
