import { preflightHeaders } from '../../core/cors.ts'
import { type Refusal, refuse } from '../../core/refusals.ts'
import type { Passage } from '../pipeline.ts'

/** The route whose answer is the public keys of assertions; it has no upstream. */
export const JWKS_ROUTE = 'sallyport-jwks'

/** Answers a route that the gateway serves itself. */
export const answerBuiltIn = (passage: Passage, jwks: string): true | Refusal => {
  const { exchange, accepted, decisionId } = passage
  const { cors } = accepted.route
  if (cors !== undefined) {
    const headers = preflightHeaders(cors, exchange.head.headers)
    exchange.reply.head(204, '', [...headers, 'Sallyport-Decision-Id', decisionId])
    exchange.reply.end()
    return true
  }
  if (accepted.route.name !== JWKS_ROUTE) {
    return refuse('enforce', 'internal', `route ${accepted.route.name} has no upstream`)
  }
  const body = Buffer.from(jwks)
  exchange.reply.head(200, '', [
    ...['Content-Type', 'application/json', 'Content-Length', String(body.length)],
    ...['Cache-Control', 'public, max-age=300', 'X-Content-Type-Options', 'nosniff'],
    ...['Sallyport-Decision-Id', decisionId],
  ])
  exchange.reply.end(exchange.head.method === 'HEAD' ? undefined : body)
  return true
}
