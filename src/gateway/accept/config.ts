import { z } from 'zod'
import { DIALECTS } from '../../core/dialect.ts'
import type { Settings } from '../../core/settings.ts'
import { tlsConfig } from './tls-config.ts'

/** `host:port`; an IPv6 address is in brackets. */
const BIND = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):(?:0|[1-9][0-9]{0,4})$/

export const TRUSTED_HEADERS = [
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'forwarded',
  'x-forwarded-client-cert',
  'client-cert',
  'client-cert-chain',
] as const

/** Read by a forward-auth listener alone. */
const FORWARD_AUTH_HEADERS = ['x-forwarded-method', 'x-forwarded-uri'] as const

const trustedProxy = z.strictObject({
  cidrs: z
    .array(z.string())
    .min(1)
    .describe('Addresses of the proxies: 10.0.0.0/8, fd00::/8, or a single address; never everything'),
  headers: z
    .array(z.enum([...TRUSTED_HEADERS, ...FORWARD_AUTH_HEADERS]))
    .min(1)
    .optional()
    .describe(
      'The headers that are believed when one of these proxies sends them; all others are not. A forward-auth listener always reads x-forwarded-method, -proto, -host, -uri and -for of them, and needs no list',
    ),
  posture: z
    .array(
      z.string().regex(/^[A-Za-z0-9-]{1,100}$/, 'expected the name of a header, such as X-Device-Compliant'),
    )
    .min(1)
    .optional()
    .describe(
      'Headers in which these proxies say how the device of the caller is, such as [X-Device-Compliant]; mappings read them by request.posture, and they are removed from whatever comes from elsewhere, by any listener. Default none',
    ),
})

/** One address to listen on. */
export const listenerConfig = (s: Settings) =>
  z.strictObject({
    bind: z
      .string()
      .regex(BIND, 'expected host:port, such as 0.0.0.0:8080')
      .describe('Address and port to listen on, such as 0.0.0.0:8080 or [::1]:8080'),
    speaks: z
      .enum(DIALECTS)
      .default('proxy')
      .describe(
        'proxy: requests are forwarded when they are allowed. forward-auth: another proxy asks (nginx auth_request, Traefik ForwardAuth, Caddy forward_auth), and forwards by itself. ext-authz-http and ext-authz-grpc: the same for Envoy ext_authz, by HTTP or gRPC. authzen: enforcement points ask the engine by AuthZEN 1.0. Default proxy',
      ),
    engine: z
      .string()
      .min(1)
      .optional()
      .describe('Of a listener that speaks authzen: the engine that is asked, required there'),
    authenticate: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .describe(
        'Of a listener that speaks authzen: the authenticators, one of which must know the enforcement point; default none, but trustedProxies or a client certificate',
      ),
    pathPrefix: z
      .string()
      .regex(/^(?:\/[A-Za-z0-9._~-]+)+$/, 'expected a path such as /authz')
      .optional()
      .describe(
        'Of a listener that speaks ext-authz-http: the path_prefix that Envoy puts before the path, default none',
      ),
    trustedProxies: z
      .array(trustedProxy)
      .default([])
      .describe('Whose forwarding headers are believed, and which of them, default none'),
    tls: tlsConfig(s).optional().describe('Certificate and key to speak TLS by, default plain HTTP'),
  })

/** What one caller may take of the gateway's memory and time. */
export const limitsConfig = (s: Settings) =>
  z.strictObject({
    headerBytes: z
      .int()
      .min(1024)
      .max(1_048_576)
      .default(16_384)
      .describe('Most bytes of a request line with all header fields, default 16384'),
    bodyBytes: z
      .int()
      .min(0)
      .max(1_073_741_824)
      .default(1_048_576)
      .describe('Most bytes of a body that a mapping reads, default 1048576; other bodies are streamed'),
    headersTimeout: s
      .duration({ minMs: 100 })
      .prefault('10s')
      .describe('How long the header block may take to arrive, default 10s'),
    requestTimeout: s
      .duration({ minMs: 100 })
      .prefault('60s')
      .describe(
        'How long a request may take to arrive: its header block, and its body where a mapping reads it; default 60s',
      ),
    bodyIdleTimeout: s
      .duration({ minMs: 100 })
      .optional()
      .describe(
        'How long a body that is passed on may pause, while all of it may take any time; default 30s, or requestTimeout where that is shorter',
      ),
    bodyMinRate: z
      .int()
      .min(0)
      .max(1_073_741_824)
      .default(100)
      .describe(
        'Bytes a second that must arrive of such a body over each bodyIdleTimeout, default 100; 0: any',
      ),
    stallTimeout: s
      .duration({ minMs: 100 })
      .prefault('60s')
      .describe('How long the end of an answer may wait for the caller to read it, default 60s'),
    keepAliveTimeout: s
      .duration({ minMs: 1 })
      .prefault('75s')
      .describe('How long an idle connection is kept, default 75s'),
    connections: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(10_000)
      .describe('Most connections of one listener at a time, WebSockets included, default 10000'),
    connectionsPerAddress: z
      .int()
      .min(1)
      .max(1_000_000)
      .default(5000)
      .describe(
        'Most connections of one peer address (of IPv6, one /64 network) to one listener at a time, default 5000; trusted proxies may have any number',
      ),
  })

const condition = z
  .union([z.string(), z.boolean()])
  .describe('The value, exactly; or true when it must be there, false when it must not')

/** Which requests a route is for: `GET /accounts/{accountId}`, or the long form. */
export const matchConfig = (_s: Settings) =>
  z.union([
    z
      .string()
      .describe(
        'Methods and path template: GET /accounts/{id}, or GET,POST /accounts, or * /accounts/{*rest}',
      ),
    z.strictObject({
      methods: z
        .array(z.string())
        .min(1)
        .optional()
        .describe('Methods, default every method; GET includes HEAD'),
      path: z
        .string()
        .describe('Path template: literals, {name}, {name:regex}, and a last {*rest} for the tail'),
      host: z
        .string()
        .optional()
        .describe("Host name, or *.suffix, default the route's host; with a port only that port is meant"),
      headers: z
        .record(z.string(), condition)
        .default({})
        .describe('Header fields that the request must have'),
      query: z.record(z.string(), condition).default({}).describe('Query keys that the request must have'),
    }),
  ])

/** The keys of a route that say which requests it is for. */
export const routeMatchFields = (s: Settings) => ({
  match: matchConfig(s).describe('Which requests the route is for; short or long form'),
  ignoreCase: z
    .boolean()
    .default(false)
    .describe('Compare the path without case, for applications that do so, default false'),
  fallThrough: z
    .boolean()
    .default(false)
    .describe('Look for a less specific path when method or conditions do not fit, default false'),
  allowEncodedSlash: z
    .boolean()
    .default(false)
    .describe('Take %2F in path segments, which then stay encoded, default false'),
  allowPathParameters: z
    .boolean()
    .default(false)
    .describe('Take ; and %3B in path segments, which then stay encoded, default false'),
})

const DEFAULT_BODY_IDLE_MS = 30_000

/** Milliseconds. */
export const bodyIdleTimeout = (limits: Pick<LimitsConfig, 'bodyIdleTimeout' | 'requestTimeout'>): number =>
  limits.bodyIdleTimeout ?? Math.min(DEFAULT_BODY_IDLE_MS, limits.requestTimeout)

export type ListenerConfig = z.infer<ReturnType<typeof listenerConfig>>
export type TrustedProxyConfig = ListenerConfig['trustedProxies'][number]
export type TrustedHeader = (typeof TRUSTED_HEADERS)[number]
export type LimitsConfig = z.infer<ReturnType<typeof limitsConfig>>
export type MatchConfig = z.infer<ReturnType<typeof matchConfig>>
/** The flags of a route that belong to its match. */
export interface MatchFlags {
  readonly ignoreCase: boolean
  readonly fallThrough: boolean
  readonly allowEncodedSlash: boolean
  readonly allowPathParameters: boolean
}
