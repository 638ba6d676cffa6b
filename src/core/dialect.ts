/** What a listener speaks: who asks, and how it is told. */
export const DIALECTS = ['proxy', 'forward-auth', 'ext-authz-http', 'ext-authz-grpc', 'authzen'] as const

/**
 * `proxy`: the caller's own request, which is forwarded. `authzen`: an enforcement point asks, naming subject, action and
 * resource. Every other dialect is a proxy's question about a request that the proxy itself will forward.
 */
export type Dialect = (typeof DIALECTS)[number]
