import { type CanonicalHost, canonicalHost } from './canonical-host.ts'

/** The part of a request target that names the resource, and the authority of an absolute one. */
export interface TargetParts {
  /** Path and query, not yet canonical. */
  readonly origin: string
  /** Of the absolute form; null in the origin form. */
  readonly authority: CanonicalHost | null
}

const ABSOLUTE = /^https?:\/\/([^/?#]*)(.*)$/i

/**
 * Takes an origin-form or absolute-form target apart; null for every other form.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9112#section-3.2
 */
export const splitTarget = (target: string): TargetParts | null => {
  if (target.charCodeAt(0) === 0x2f) return { origin: target, authority: null }
  const found = ABSOLUTE.exec(target)
  if (found === null) return null
  const authority = canonicalHost(found[1] ?? '')
  if (authority === null) return null
  const rest = found[2] ?? ''
  return { origin: rest.startsWith('/') ? rest : `/${rest}`, authority }
}

const MAX_SHOWN = 2048

/** The path of a target that has no canonical form, for the record: without query, fragment and user information. */
export const pathAsItCame = (target: string): string => {
  const absolute = /^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/?#]*/.exec(target)
  const rest = absolute === null ? target : target.slice(absolute[0].length)
  const end = rest.search(/[?#]/)
  const path = (end === -1 ? rest : rest.slice(0, end)).slice(0, MAX_SHOWN)
  return path.startsWith('/') || !path.includes('@') ? path : ''
}
