import { fetchJson, type ProviderClient, transportProblem } from './provider.ts'

/**
 * Finds where an issuer publishes its keys.
 *
 * @returns `jwks_uri` of metadata that are the issuer's own, or for operators what went wrong.
 * @see https://openid.net/specs/openid-connect-discovery-1_0.html section 4
 */
export const discoverKeySet = async (
  issuer: string,
  client: ProviderClient,
  signal: AbortSignal,
): Promise<{ readonly jwksUri: string } | { readonly failure: string }> => {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const answer = await fetchJson(url, client, signal)
  if ('failure' in answer) return answer
  const metadata = answer.json
  if (typeof metadata !== 'object' || metadata === null) return { failure: `${url} did not answer an object` }
  if (!('issuer' in metadata) || metadata.issuer !== issuer) {
    return { failure: `${url} speaks for another issuer` }
  }
  const jwksUri = 'jwks_uri' in metadata ? metadata.jwks_uri : undefined
  if (typeof jwksUri !== 'string') return { failure: `${url} names no jwks_uri` }
  const problem = transportProblem(jwksUri, client.insecure)
  return problem === null ? { jwksUri } : { failure: `${url} names a jwks_uri, but ${problem}` }
}
