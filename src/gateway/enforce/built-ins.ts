import { preflightHeaders } from '../../core/cors.ts'
import type { OwnAnswer } from '../../core/own-answer.ts'
import { type Refusal, refuse } from '../../core/refusals.ts'
import type { Passage } from '../pipeline.ts'
import { PAGE_POLICY, plainPage } from './plain-page.ts'

/** The route whose answer is the public keys of assertions; it has no upstream. */
export const JWKS_ROUTE = 'sallyport-jwks'

/** Answers a route that the gateway serves itself. */
export const answerBuiltIn = (passage: Passage, jwks: string): true | Refusal => {
  const { exchange, accepted, decisionId, bound } = passage
  if (bound.answer?.kind === 'document') return answerDocument(passage, bound.answer.json)
  if (bound.answer !== undefined) return answerOwn(passage, bound.answer)
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
  return answerDocument(passage, jwks)
}

const answerDocument = ({ exchange, decisionId }: Passage, json: string): true => {
  const body = Buffer.from(json)
  exchange.reply.head(200, '', [
    ...['Content-Type', 'application/json', 'Content-Length', String(body.length)],
    ...['Cache-Control', 'public, max-age=300', 'X-Content-Type-Options', 'nosniff'],
    ...['Sallyport-Decision-Id', decisionId],
  ])
  exchange.reply.end(exchange.head.method === 'HEAD' ? undefined : body)
  return true
}

/** 303: a browser sends what follows with GET, whatever brought it here. */
const STATUS_OF = { redirect: 303, page: 200, done: 200, accepted: 202 } as const

type BrowserAnswer = Exclude<OwnAnswer, { readonly kind: 'document' }>

const answerOwn = ({ exchange, decisionId }: Passage, answer: BrowserAnswer): true => {
  const body = answer.kind === 'page' ? Buffer.from(pageOf(answer)) : null
  exchange.reply.head(STATUS_OF[answer.kind], '', [
    ...(answer.kind === 'redirect' ? ['Location', answer.location] : []),
    ...(body === null
      ? []
      : ['Content-Type', 'text/html; charset=utf-8', 'Content-Security-Policy', PAGE_POLICY]),
    ...['Content-Length', String(body?.length ?? 0), 'Cache-Control', 'no-store'],
    ...['Referrer-Policy', 'no-referrer', 'X-Content-Type-Options', 'nosniff'],
    ...('setCookies' in answer ? answer.setCookies : []).flatMap((cookie) => ['Set-Cookie', cookie]),
    ...['Sallyport-Decision-Id', decisionId],
  ])
  exchange.reply.end(exchange.head.method === 'HEAD' || body === null ? undefined : body)
  return true
}

const pageOf = ({ title, text }: OwnAnswer & { readonly kind: 'page' }): string =>
  plainPage({ title, heading: title, text, facts: [] })
