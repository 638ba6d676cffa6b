import { z } from 'zod'
import type { Carrier } from '../../core/carrier.ts'
import type { CanonicalRequest } from '../../core/request.ts'
import { readSessionCookie } from './session-cookies.ts'

/** The carrier came more than once, so that two readers could see two credentials. */
export const REPEATED = Symbol('repeated')

/** A token that came by the scheme `DPoP`. @see https://www.rfc-editor.org/rfc/rfc9449#section-7.1 */
export interface DpopToken {
  readonly dpop: string
}

type Fields = Pick<CanonicalRequest, 'names' | 'headers' | 'scheme' | 'host' | 'peerCertificate'>

/** Null when nothing came by the carrier; an empty string when it came empty. */
export type ReadCarrier = (request: Fields) => string | DpopToken | null | typeof REPEATED

type ReadText = (request: Fields) => string | null | typeof REPEATED

/** A header that carries a credential. Without `_` and `.`, which some applications read as `-`. */
export const carrierHeader = () => z.string().regex(/^[A-Za-z0-9-]{1,64}$/, 'expected a header name')

export const carrierCookie = () =>
  z.string().regex(/^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$/, 'expected a cookie name')

const OCCUPIED = new Set([
  'authorization',
  'connection',
  'content-length',
  'content-type',
  'cookie',
  'expect',
  'forwarded',
  'host',
  'keep-alive',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'via',
])

/** Null when the header may carry a credential, else why not. */
export const headerProblem = (name: string): string | null => {
  const lower = name.toLowerCase()
  const taken = OCCUPIED.has(lower) || lower.startsWith('x-forwarded-') || lower.startsWith('sallyport-')
  return taken ? `${name} has another meaning and cannot carry a credential of its own` : null
}

/** Names a carrier for people; equal for equal carriers, different for others. */
export const carrierLabel = (carrier: Carrier): string => {
  switch (carrier.kind) {
    case 'authorization':
      return `Authorization: ${carrier.scheme.toLowerCase()}`
    case 'header':
      return `header ${carrier.name.toLowerCase()}`
    case 'cookie':
      return `cookie ${carrier.name}`
    case 'session':
      return `session ${carrier.name}`
    case 'peer-certificate':
      return "the peer's certificate"
    case 'none':
      return 'no credential'
  }
}

/**
 * Makes the reader of one carrier.
 *
 * Whoever takes tokens by `Bearer` takes them by `DPoP` too; of a certificate the thumbprint is read.
 */
export const carrierReader = (carrier: Carrier): ReadCarrier => {
  switch (carrier.kind) {
    case 'authorization':
      return authorizationReader(carrier.scheme.toLowerCase())
    case 'header':
      return headerReader(carrier.name.toLowerCase())
    case 'cookie':
      return cookieReader(carrier.name)
    case 'session':
      return sessionReader(carrier.name)
    case 'peer-certificate':
      return ({ peerCertificate }) => peerCertificate?.thumbprint ?? null
    case 'none':
      return () => null
  }
}

/** True when there is an `Authorization` field, whatever its scheme. */
export const hasAuthorization = ({ names }: Fields): boolean => names.includes('authorization')

const headerReader =
  (lowerName: string): ReadText =>
  ({ names, headers }) => {
    const index = names.indexOf(lowerName)
    if (index < 0) return null
    if (names.indexOf(lowerName, index + 1) >= 0) return REPEATED
    return headers[2 * index + 1] ?? ''
  }

const authorizationReader = (lowerScheme: string): ReadCarrier => {
  const read = headerReader('authorization')
  const takesDpop = lowerScheme === 'bearer'
  return (request) => {
    const value = read(request)
    if (typeof value !== 'string') return value
    const space = value.indexOf(' ')
    const scheme = space < 0 ? value : value.slice(0, space)
    const came = scheme.toLowerCase()
    if (came !== lowerScheme) {
      if (!takesDpop || came !== 'dpop') return null
      return { dpop: space < 0 ? '' : withoutLeadingSpaces(value, space) }
    }
    return space < 0 ? '' : withoutLeadingSpaces(value, space)
  }
}

const withoutLeadingSpaces = (value: string, from: number): string => {
  let start = from
  while (value.charCodeAt(start) === 0x20) start += 1
  return value.slice(start)
}

const cookieReader = (name: string): ReadCarrier => {
  const read = headerReader('cookie')
  return (request) => {
    const header = read(request)
    if (typeof header !== 'string') return header
    let found: string | null = null
    for (const part of header.split(';')) {
      const equals = part.indexOf('=')
      // A part without `=` is a cookie of that name to some readers, so it counts as one that is empty.
      if ((equals < 0 ? part : part.slice(0, equals)).trim() !== name) continue
      if (found !== null) return REPEATED
      found = equals < 0 ? '' : part.slice(equals + 1).trim()
    }
    return found
  }
}

/** A session that is there twice, or in parts that do not fit, is a bad one: signing in anew mends it. */
const sessionReader = (name: string): ReadCarrier => {
  const read = headerReader('cookie')
  return (request) => {
    const header = read(request)
    return typeof header === 'string' ? readSessionCookie(header, name, request) : header
  }
}
