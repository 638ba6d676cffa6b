import { parseStrictJson } from '../../../core/strict-json.ts'
import { isJsonObject } from './answer-context.ts'

/** Paths of an engine's endpoints, on the origin of its URL. */
export interface Endpoints {
  readonly evaluation: string
  /** Null: it takes one question at a time. */
  readonly evaluations: string | null
}

const withoutSlash = (url: string): string => (url.endsWith('/') ? url.slice(0, -1) : url)

/** Where an engine's metadata is: `/.well-known/…` goes between the host and the path of its URL. */
export const metadataPath = (url: string): string =>
  `/.well-known/authzen-configuration${withoutSlash(new URL(url).pathname)}`

export const defaultEndpoints = (url: string): Endpoints => {
  const base = withoutSlash(new URL(url).pathname)
  return { evaluation: `${base}/access/v1/evaluation`, evaluations: `${base}/access/v1/evaluations` }
}

/**
 * The endpoints that an engine's metadata names.
 *
 * Endpoints of another origin are not taken over: access requests, and the token, go where the configuration says.
 * `signed_metadata` is not looked at.
 *
 * @returns a problem when the document must not be used: it is about another engine, or names no endpoint.
 * @see https://openid.net/specs/authorization-api-1_0.html section 9.2 (Metadata validation)
 */
export const readMetadata = (url: string, text: string): Endpoints | { readonly problem: string } => {
  const parsed = parseStrictJson(text, { caseInsensitiveDuplicates: false })
  if ('problem' in parsed || !isJsonObject(parsed.value)) return { problem: 'it is no JSON object' }
  const {
    policy_decision_point: identifier,
    access_evaluation_endpoint: one,
    access_evaluations_endpoint: several,
  } = parsed.value
  if (typeof identifier !== 'string' || withoutSlash(identifier) !== withoutSlash(url)) {
    return { problem: 'its policy_decision_point is another one' }
  }
  const evaluation = pathOf(one, url)
  const evaluations = several === undefined ? null : pathOf(several, url)
  if (evaluation === null || (several !== undefined && evaluations === null)) {
    return { problem: 'its endpoints are not on the same origin' }
  }
  return { evaluation, evaluations }
}

const pathOf = (endpoint: unknown, url: string): string | null => {
  if (typeof endpoint !== 'string' || !URL.canParse(endpoint)) return null
  const { origin, pathname, search } = new URL(endpoint)
  return origin === new URL(url).origin ? `${pathname}${search}` : null
}
