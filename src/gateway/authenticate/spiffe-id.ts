const MOST_LENGTH = 2048
const TRUST_DOMAIN = /^[a-z0-9._-]{1,255}$/
const SEGMENT = /^[A-Za-z0-9._-]+$/
const PREFIX = 'spiffe://'

/** Null when it is none. @see https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE-ID.md section 2 */
export const parseSpiffeId = (id: string): { readonly trustDomain: string; readonly path: string } | null => {
  if (id.length > MOST_LENGTH || !id.startsWith(PREFIX)) return null
  const rest = id.slice(PREFIX.length)
  const slash = rest.indexOf('/')
  const trustDomain = slash < 0 ? rest : rest.slice(0, slash)
  const path = slash < 0 ? '' : rest.slice(slash)
  if (!TRUST_DOMAIN.test(trustDomain)) return null
  const segments = path === '' ? [] : path.slice(1).split('/')
  const good = segments.every((segment) => SEGMENT.test(segment) && segment !== '.' && segment !== '..')
  return good ? { trustDomain, path } : null
}

export const isTrustDomain = (text: string): boolean => TRUST_DOMAIN.test(text)
