import type { Carrier } from '../../core/carrier.ts'
import { headerValues } from '../../core/headers.ts'
import type { Passage } from '../pipeline.ts'

/** Kinds of credentials that are tokens, by which others can be had. */
const TOKENS: ReadonlySet<string> = new Set(['jwt', 'introspection', 'jwt-svid'])

/**
 * The token that the caller was authenticated by, as it came; null when it was no token.
 *
 * Does not check: that it is good, which authentication has done: each carrier came once, or the request would
 * have been refused.
 *
 * @param carriers by the name of the authenticator.
 */
export const callerToken = (
  { identity, accepted }: Pick<Passage, 'identity' | 'accepted'>,
  carriers: ReadonlyMap<string, Carrier>,
): string | null => {
  if (identity === null || !TOKENS.has(identity.credential.type)) return null
  const carrier = carriers.get(identity.credential.authenticator)
  const { headers } = accepted.request
  switch (carrier?.kind) {
    case 'authorization': {
      const [value = ''] = headerValues(headers, 'authorization')
      return value.slice(value.indexOf(' ') + 1).trim() || null
    }
    case 'header':
      return headerValues(headers, carrier.name)[0] ?? null
    case 'cookie':
      return cookie(headerValues(headers, 'cookie')[0] ?? '', carrier.name)
    default:
      return null
  }
}

const cookie = (header: string, name: string): string | null => {
  for (const part of header.split(';')) {
    const equals = part.indexOf('=')
    if (equals > 0 && part.slice(0, equals).trim() === name) return part.slice(equals + 1).trim()
  }
  return null
}
