import type { HeaderPairs } from '../../core/headers.ts'
import type { Match, Wanted } from './match.ts'

/** What a route wants of header fields and query keys, besides method and path. */
export interface Conditions {
  readonly headers: readonly (readonly [string, Wanted])[]
  readonly query: readonly (readonly [string, Wanted])[]
  /** Equal for equal conditions. */
  readonly key: string
  readonly size: number
}

export interface ConditionSubject {
  readonly headers: HeaderPairs
  readonly names: readonly string[]
  /** Canonical. */
  readonly query: string
}

/** Why conditions cannot be told: what they read is there more than once. */
export interface Ambiguous {
  readonly ambiguous: string
}

export const compileConditions = (match: Pick<Match, 'headers' | 'query'>): Conditions => {
  const headers = [...match.headers].sort(byName)
  const query = [...match.query].sort(byName)
  return { headers, query, key: JSON.stringify([headers, query]), size: headers.length + query.length }
}

const byName = ([left]: readonly [string, Wanted], [right]: readonly [string, Wanted]): number =>
  left < right ? -1 : 1

/**
 * Whether a request has what a route wants. A field or key that is repeated, or that differs from the wanted
 * one only by case, is ambiguous: the application may read the other one.
 */
export const conditionsFit = (conditions: Conditions, subject: ConditionSubject): boolean | Ambiguous => {
  for (const [name, wanted] of conditions.headers) {
    const fits = headerFits(name, wanted, subject)
    if (fits !== true) return fits
  }
  if (conditions.query.length === 0) return true
  const pairs = queryPairs(subject.query)
  for (const [name, wanted] of conditions.query) {
    const fits = queryFits(name, wanted, pairs)
    if (fits !== true) return fits
  }
  return true
}

const headerFits = (
  name: string,
  wanted: Wanted,
  { headers, names }: ConditionSubject,
): boolean | Ambiguous => {
  const index = names.indexOf(name)
  if (typeof wanted === 'boolean') return wanted === (index !== -1)
  if (index === -1) return false
  if (names.includes(name, index + 1)) return { ambiguous: `a repeated header that the route reads: ${name}` }
  return headers[2 * index + 1] === wanted
}

type QueryPair = readonly [key: string, value: string]

const queryFits = (name: string, wanted: Wanted, pairs: readonly QueryPair[]): boolean | Ambiguous => {
  const folded = name.toLowerCase()
  const found = pairs.filter(([key]) => key.toLowerCase() === folded)
  const [first] = found
  if (first === undefined) return wanted === false
  if (found.some(([key]) => key !== name)) {
    return { ambiguous: 'a query key that differs only by case from one that the route reads' }
  }
  if (typeof wanted === 'boolean') return wanted
  if (found.length > 1) return { ambiguous: 'a repeated query key that the route reads' }
  return first[1] === wanted
}

/** @see https://url.spec.whatwg.org/#urlencoded-parsing */
const queryPairs = (query: string): readonly QueryPair[] =>
  query
    .slice(1)
    .split('&')
    .filter((pair) => pair !== '')
    .map((pair) => {
      const equals = pair.indexOf('=')
      return equals === -1
        ? [decode(pair), '']
        : [decode(pair.slice(0, equals)), decode(pair.slice(equals + 1))]
    })

const decode = (text: string): string => decodeURIComponent(text.replaceAll('+', ' '))
