import { z } from 'zod'
import type { JsonObject } from '../../core/json.ts'
import type { Problem } from '../../core/problem.ts'
import { isRefusal, type Refusal } from '../../core/refusals.ts'
import type { CanonicalRequest } from '../../core/request.ts'
import { builtInRoute, type Route } from '../../core/route.ts'
import type { Settings } from '../../core/settings.ts'
import { ASYMMETRIC_ALGORITHMS } from './algorithms.ts'
import type { Authenticate } from './authenticate.ts'

/** One entry of `protectedResources`. */
export const protectedResourceConfig = (s: Settings) =>
  z.strictObject({
    resource: s.url().describe('Identifier of the resource, an https URL of a host that the gateway serves'),
    authorizationServers: z
      .array(s.url())
      .min(1)
      .describe('Issuers of the authorization servers, where clients get tokens for it'),
    scopes: z.array(z.string().min(1)).min(1).optional().describe('Scopes that there are, default not told'),
    name: z.string().min(1).optional().describe('Name of the resource, for people, default none'),
    documentation: s.url().optional().describe('Page for developers, default none'),
    dpopRequired: z
      .boolean()
      .default(false)
      .describe('Tells that tokens must be bound by DPoP, default false; dpop.required enforces it'),
  })

export type ProtectedResourceConfig = z.infer<ReturnType<typeof protectedResourceConfig>>

const WELL_KNOWN = '/.well-known/oauth-protected-resource'

/** A document that the gateway answers by itself. */
export interface ResourceDocument {
  readonly route: Route
  readonly authority: string
  readonly path: string
  readonly url: string
  /** The path that the resource begins with; `/` for a whole host. */
  readonly covers: string
  readonly json: JsonObject
}

/**
 * Makes the metadata of each resource, which tells clients where to get tokens.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9728#section-2
 */
export const resourceDocuments = (configs: readonly ProtectedResourceConfig[]): readonly ResourceDocument[] =>
  configs.map((config) => {
    const { resource, authorizationServers, scopes, name, documentation, dpopRequired } = config
    const { host, origin, pathname } = new URL(resource)
    const path = pathname === '/' ? WELL_KNOWN : `${WELL_KNOWN}${pathname}`
    const json: JsonObject = {
      resource,
      authorization_servers: authorizationServers,
      bearer_methods_supported: ['header'],
      ...(scopes === undefined ? {} : { scopes_supported: scopes }),
      ...(name === undefined ? {} : { resource_name: name }),
      ...(documentation === undefined ? {} : { resource_documentation: documentation }),
      dpop_signing_alg_values_supported: [...ASYMMETRIC_ALGORITHMS],
      dpop_bound_access_tokens_required: dpopRequired,
    }
    // Each has a route of its own, by which its answer is found again.
    const route = builtInRoute('protected-resource-metadata')
    return { route, authority: host, path, url: `${origin}${path}`, covers: pathname, json }
  })

/** Reports two entries whose metadata would be at one address. */
export const checkResources = (
  configs: readonly ProtectedResourceConfig[],
  report: (problem: Problem) => void,
): void => {
  const seen = new Set<string>()
  for (const [index, { url }] of resourceDocuments(configs).entries()) {
    const path = ['protectedResources', index, 'resource']
    if (seen.has(url)) report({ path, message: 'found the same resource a second time, expected it once' })
    seen.add(url)
  }
}

const covers = ({ authority, covers: path }: ResourceDocument, request: CanonicalRequest): boolean =>
  request.authority.toLowerCase() === authority &&
  (path === '/' || request.path === path || request.path.startsWith(path.endsWith('/') ? path : `${path}/`))

/**
 * Lets challenges for tokens say where the metadata of the resource is.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9728#section-5.1
 */
export const pointingToMetadata = (
  authenticate: Authenticate,
  documents: readonly ResourceDocument[],
): Authenticate => {
  if (documents.length === 0) return authenticate
  // The nearest one speaks for a request.
  const nearestFirst = [...documents].sort((one, other) => other.covers.length - one.covers.length)
  return (request, route, signal) => {
    const point = <T extends object>(result: T | Refusal): T | Refusal => {
      if (!isRefusal(result) || result.headers === undefined) return result
      const document = nearestFirst.find((each) => covers(each, request))
      return document === undefined ? result : { ...result, headers: pointed(result.headers, document.url) }
    }
    const result = authenticate(request, route, signal)
    return result instanceof Promise ? result.then(point) : point(result)
  }
}

const CHALLENGE = /^(Bearer|DPoP)(?: (.*))?$/

const pointed = (headers: readonly string[], url: string): readonly string[] =>
  headers.map((text, index) => {
    if (index % 2 === 0 || headers[index - 1]?.toLowerCase() !== 'www-authenticate') return text
    const [, scheme, rest] = CHALLENGE.exec(text) ?? []
    if (scheme === undefined) return text
    const pointer = `resource_metadata="${url}"`
    return `${scheme} ${rest === undefined ? pointer : `${rest}, ${pointer}`}`
  })
