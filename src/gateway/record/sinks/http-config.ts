import { z } from 'zod'
import { isLoopback } from '../../../core/loopback.ts'
import type { Problem } from '../../../core/problem.ts'
import type { Settings } from '../../../core/settings.ts'

export const httpConfig = (s: Settings) =>
  z.strictObject({
    type: z
      .literal('http')
      .describe(
        'Sends records to a collector in batches, and keeps them on this disk until it has taken them',
      ),
    url: s.url().describe('Where batches are posted to; any answer 2xx acknowledges one'),
    spool: s
      .path()
      .describe(
        'Folder for the records that were not acknowledged yet; made when missing, for one gateway alone. Of several workers, worker n has spool.<n> in place of spool',
      ),
    spoolBytes: z
      .int()
      .min(4096)
      .default(256 << 20)
      .describe(
        'Most bytes that the spool has on the disk, at least 4096; when it is full, requests are refused (required) or records dropped; default 268435456',
      ),
    fsync: z
      .boolean()
      .default(false)
      .describe('Wait for the disk at each record, so that a power failure loses none either, default false'),
    batchRecords: z.int().min(1).max(100_000).default(1000).describe('Most records of a batch, default 1000'),
    batchBytes: z
      .int()
      .min(1)
      .max(64 << 20)
      .default(256 << 10)
      .describe('Most bytes of a batch before compression; a longer record goes alone; default 262144'),
    batchDelay: s
      .duration({ minMs: 0, maxMs: 60_000 })
      .prefault('1s')
      .describe('How long a record waits for others to go with, default 1s'),
    timeout: s
      .duration({ minMs: 10, maxMs: 300_000 })
      .prefault('10s')
      .describe(
        'For the whole of one attempt, connecting included; then the batch is sent again; default 10s',
      ),
    maxRetryDelay: s
      .duration({ minMs: 10, maxMs: 3_600_000 })
      .prefault('15s')
      .describe('Longest pause between two attempts; the pause grows from 100ms by doubling; default 15s'),
    format: z
      .enum(['ndjson', 'json'])
      .default('ndjson')
      .describe('ndjson: one record a line, application/x-ndjson; json: a JSON array; default ndjson'),
    compress: z.literal('gzip').optional().describe('Compresses batches: gzip; default not at all'),
    token: s
      .secret()
      .optional()
      .describe('What the collector knows the gateway by; sent in `tokenHeader`, default none'),
    tokenHeader: z
      .string()
      .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, { error: 'expected the name of a header' })
      .default('Authorization')
      .describe(
        'Header that carries the token; in Authorization a token without a scheme is sent as a Bearer; default Authorization',
      ),
    tls: z
      .strictObject({
        caFile: s
          .path()
          .optional()
          .describe('PEM file of the authorities that vouch for the collector, default those of Node'),
        serverName: z
          .string()
          .min(1)
          .optional()
          .describe("Name that the collector's certificate must have, default the host of `url`"),
        certFile: s
          .path()
          .optional()
          .describe('PEM file with the certificate that the gateway shows to the collector, default none'),
        keyFile: s
          .path()
          .optional()
          .describe('PEM file with the private key of certFile, without a passphrase'),
      })
      .optional()
      .describe(
        'How the certificate of an https collector is verified, by default as the system does, and what the gateway shows itself',
      ),
    insecure: z
      .boolean()
      .default(false)
      .describe(
        'Allows plain http to another machine, default false. Anybody on the way can then read records and the token.',
      ),
  })

export type HttpConfig = z.output<ReturnType<typeof httpConfig>>

const FRAMING = [
  'host',
  'content-length',
  'transfer-encoding',
  'connection',
  'content-type',
  'content-encoding',
]
const DNS_NAME = /^(?=.{1,253}$)([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]*[a-z0-9])?$/i

/** What the schema cannot say. */
export const checkHttpConfig = ({
  url,
  insecure,
  tls,
  token,
  tokenHeader,
}: HttpConfig): readonly Problem[] => {
  const problems: Problem[] = []
  const { protocol, hostname } = new URL(url)
  const isPlain = protocol === 'http:'
  if (isPlain && !insecure && !isLoopback(hostname)) {
    const message = 'found plain http to another machine, expected https, or "insecure: true"'
    problems.push({ path: ['url'], rule: 'collector-url', message })
  }
  if (isPlain && tls !== undefined) {
    const message = 'found tls with a url that is not https, by which nothing would be verified'
    problems.push({ path: ['tls'], atKey: true, rule: 'collector-tls', message })
  }
  if (tls?.serverName !== undefined && !DNS_NAME.test(tls.serverName)) {
    problems.push({ path: ['tls', 'serverName'], rule: 'collector-tls', message: 'expected a DNS name' })
  }
  if ((tls?.certFile === undefined) !== (tls?.keyFile === undefined)) {
    const message = 'certFile and keyFile belong together'
    problems.push({ path: ['tls'], rule: 'collector-tls', message })
  }
  if (FRAMING.includes(tokenHeader.toLowerCase())) {
    const message = `found ${tokenHeader}, which is not for a token`
    problems.push({ path: ['tokenHeader'], rule: 'collector-token', message })
  }
  if (token !== undefined && !/^[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?$/.test(token.reveal())) {
    const message = 'found a token with characters that a header cannot carry'
    problems.push({ path: ['token'], rule: 'collector-token', message })
  }
  return problems
}

/** Flat name, value; empty without a token. */
export const tokenHeaders = ({ token, tokenHeader }: Pick<HttpConfig, 'token' | 'tokenHeader'>): string[] => {
  if (token === undefined) return []
  const value = token.reveal()
  const isBearer = tokenHeader.toLowerCase() === 'authorization' && !value.includes(' ')
  return [tokenHeader, isBearer ? `Bearer ${value}` : value]
}
