import { z } from 'zod'
import type { Settings } from '../../core/settings.ts'

const certificateFields = (s: Settings) => ({
  certFile: s.path().describe('PEM file with the certificate, and behind it those that lead to its root'),
  keyFile: s.path().describe('PEM file with the private key of the certificate, without a passphrase'),
})

/** The certificates of a listener: `listeners[].tls`. Cross-checks are in `prepareTls()`. */
export const tlsConfig = (s: Settings) =>
  z.strictObject({
    ...certificateFields(s),
    certificates: z
      .array(
        z.strictObject({
          ...certificateFields(s),
          hosts: z
            .array(z.string().min(1))
            .min(1)
            .optional()
            .describe(
              'Names that get this certificate: bank.example.com, or *.example.com for one label; default those in the certificate',
            ),
        }),
      )
      .default([])
      .describe('More certificates, chosen by the name that the caller asks for (SNI), default none'),
    clientCaFile: s
      .path()
      .optional()
      .describe('PEM file with the certificates of those who issue client certificates'),
    clientCert: z
      .enum(['none', 'optional', 'required'])
      .optional()
      .describe(
        'Whether callers show a certificate of clientCaFile: none, optional (one that is shown must be good), or required; default required with clientCaFile, else none',
      ),
  })

export type TlsConfig = z.infer<ReturnType<typeof tlsConfig>>
export type ClientCertMode = NonNullable<TlsConfig['clientCert']>
