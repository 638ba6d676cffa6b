import { z } from 'zod'
import type { Problem } from '../../core/problem.ts'
import type { Settings } from '../../core/settings.ts'
import { credentialsConfig } from './credentials-config.ts'

/** An application behind the gateway: `upstreams.<name>`. Cross-checks are in `checkUpstream()`. */
export const upstreamConfig = (s: Settings) =>
  z.strictObject({
    url: s
      .url()
      .optional()
      .describe('Origin of the application, such as http://127.0.0.1:9000; without a path'),
    urls: z
      .array(s.url())
      .min(1)
      .optional()
      .describe('Several origins of one application, used in turn, without those that fail; instead of url'),
    host: z
      .string()
      .min(1)
      .default('preserve')
      .describe(
        'The Host that the application sees: preserve (as the caller sent it, in canonical form), upstream (that of the url), or a name; default preserve',
      ),
    forwardCredential: z
      .boolean()
      .default(false)
      .describe(
        "Passes on the caller's credential headers and cookies, which are removed by default; default false",
      ),
    credentials: credentialsConfig(s)
      .optional()
      .describe(
        'What the application is shown by the gateway, in place of what callers send; default nothing',
      ),
    tls: z
      .strictObject({
        caFile: s
          .path()
          .optional()
          .describe(
            "PEM file with the certificates of those whom to trust, instead of those of Node; default Node's own list",
          ),
        serverName: z
          .string()
          .min(1)
          .optional()
          .describe('The name that is asked for and must be in the certificate, default the host of the url'),
        certFile: s
          .path()
          .optional()
          .describe('PEM file with the certificate that the gateway shows to the application, default none'),
        keyFile: s
          .path()
          .optional()
          .describe('PEM file with the private key of certFile, without a passphrase'),
      })
      .optional()
      .describe(
        'How the certificate of an https url is verified, which there is no way not to, and what the gateway shows itself',
      ),
    connectTimeout: s
      .duration({ minMs: 1 })
      .prefault('2s')
      .describe('How long a connection may take to come about, default 2s'),
    headersTimeout: s
      .duration({ minMs: 1 })
      .prefault('30s')
      .describe(
        'How long the application may take from the end of the request to the head of its answer, default 30s',
      ),
    bodyTimeout: s
      .duration({ minMs: 1 })
      .optional()
      .describe(
        'How long the application may pause within an answer; default no limit, as event streams need',
      ),
    stallTimeout: s
      .duration({ minMs: 1 })
      .prefault('60s')
      .describe('How long a caller may take nothing of an answer before it is cut, default 60s'),
    keepAliveTimeout: s
      .duration({ minMs: 1 })
      .prefault('4s')
      .describe('How long an idle connection is kept where the application does not say, default 4s'),
    maxConnections: z
      .int()
      .min(1)
      .optional()
      .describe(
        'Connections to each origin, WebSockets not counted; a request that gets none within connectTimeout is refused; default no limit',
      ),
    breaker: z
      .strictObject({
        failures: z
          .int()
          .min(1)
          .max(1000)
          .default(3)
          .describe('Failures in a row after which an origin is left out, default 3'),
        trialEvery: s
          .duration({ minMs: 10 })
          .prefault('2s')
          .describe('How often a request may try an origin that is left out, default 2s'),
      })
      .prefault({})
      .describe(
        'When an origin gets no requests, since it cannot be reached, resets connections, or does not answer in time; with none left that can be reached, requests are refused at once',
      ),
    healthCheck: z
      .strictObject({
        path: z
          .string()
          .regex(
            /^\/[\x21\x22\x24-\x7e]*$/,
            'expected a path that begins with /, without blanks or a fragment',
          )
          .describe('What is asked for, such as /health: well is an origin that answers 2xx or 3xx'),
        interval: s
          .duration({ minMs: 10 })
          .prefault('5s')
          .describe('How often each origin is asked, by each worker, default 5s'),
        timeout: s
          .duration({ minMs: 1 })
          .prefault('2s')
          .describe('How long it may take to connect and to answer, default 2s'),
      })
      .optional()
      .describe(
        'Asks each origin whether it is well; one that is not, breaker.failures times in a row, is left out until it is; default only requests tell',
      ),
    maxHeaderBytes: z
      .int()
      .min(1024)
      .default(65536)
      .describe(
        "Bytes that the head of an answer may have, default 65536; a larger one is the upstream's failure",
      ),
  })

export type UpstreamConfig = z.infer<ReturnType<typeof upstreamConfig>>

/** The signature that tells the application that a request came through the gateway: `assertion`. */
export const assertionConfig = (s: Settings) =>
  z.strictObject({
    keyFile: s
      .path()
      .optional()
      .describe('A private P-256 key as JWK or PEM; without it a key is made at start'),
    ttl: s
      .duration({ minMs: 1000 })
      .prefault('60s')
      .describe('The longest life of an assertion, default 60s; a grant that ends earlier ends it earlier'),
    issuer: z.string().min(1).default('sallyport').describe('The iss claim, default sallyport'),
  })

export type AssertionConfig = z.infer<ReturnType<typeof assertionConfig>>

const HOST_NAME = /^(?:[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?$/i

const DNS_NAME = /^[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?$/i

/**
 * What is wrong with an upstream although each of its fields is right.
 *
 * Does not check: whether anything answers there.
 */
export const checkUpstream = (config: UpstreamConfig): readonly Problem[] => {
  const problems: Problem[] = []
  if (config.url === undefined && config.urls === undefined) {
    problems.push({ path: [], message: 'an upstream needs url, or urls', rule: 'upstream-url' })
  }
  if (config.url !== undefined && config.urls !== undefined) {
    problems.push({
      path: ['urls'],
      atKey: true,
      message: 'either url or urls, not both',
      rule: 'upstream-url',
    })
  }
  if (config.url !== undefined) problems.push(...checkOrigin(config.url, ['url']))
  config.urls?.forEach((url, index) => {
    problems.push(...checkOrigin(url, ['urls', index]))
  })
  if (config.tls !== undefined && !upstreamUrls(config).every((url) => url.startsWith('https:'))) {
    problems.push({
      path: ['tls'],
      atKey: true,
      message: 'found tls with an origin that is not https, by which nothing would be verified',
      rule: 'upstream-tls',
    })
  }
  if (config.tls?.serverName !== undefined && !DNS_NAME.test(config.tls.serverName)) {
    problems.push({ path: ['tls', 'serverName'], message: 'expected a DNS name', rule: 'upstream-tls' })
  }
  if ((config.tls?.certFile === undefined) !== (config.tls?.keyFile === undefined)) {
    problems.push({ path: ['tls'], message: 'certFile and keyFile belong together', rule: 'upstream-tls' })
  }
  if (config.forwardCredential && config.credentials !== undefined) {
    problems.push({
      path: ['forwardCredential'],
      atKey: true,
      message:
        'found forwardCredential beside credentials, expected one: the application is shown one caller',
      rule: 'upstream-credentials',
    })
  }
  if (!HOST_NAME.test(config.host)) {
    problems.push({
      path: ['host'],
      message: 'expected preserve, upstream, or a host name with an optional port',
      rule: 'upstream-host',
    })
  }
  return problems
}

const checkOrigin = (url: string, path: Problem['path']): readonly Problem[] => {
  const { pathname } = new URL(url)
  if (pathname === '/') return []
  return [
    {
      path,
      message: `an upstream is an origin without a path, but this has ${pathname}; a route's rewrite sets the path`,
      rule: 'upstream-path',
    },
  ]
}

/** Every origin of an upstream, in order. */
export const upstreamUrls = (config: UpstreamConfig): readonly string[] =>
  config.urls ?? (config.url === undefined ? [] : [config.url])
