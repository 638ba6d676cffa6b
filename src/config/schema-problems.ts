import { z } from 'zod'
import { didYouMean } from '../core/nearest.ts'

import type { Problem } from '../core/problem.ts'
import { describeFound, isSensitive } from './found.ts'

import { UNREADABLE } from './yaml/plain-value.ts'

type Issue = z.core.$ZodIssue
type Path = readonly PropertyKey[]

const EXPECTED: ReadonlyMap<string, string> = new Map([
  ['array', 'a list'],
  ['boolean', 'true or false'],
  ['int', 'a whole number'],
  ['map', 'a map'],
  ['null', 'nothing'],
  ['number', 'a number'],
  ['object', 'a map'],
  ['record', 'a map'],
  ['string', 'a string'],
])

const MAX_LISTED = 24

const listNames = (names: readonly string[]): string => {
  if (names.length === 0) return 'nothing'
  const listed = names.slice(0, MAX_LISTED).join(', ')
  return names.length > MAX_LISTED ? `${listed}, …` : listed
}

const oneOf = (names: readonly string[]): string =>
  names.length === 1 ? (names[0] ?? '') : `one of ${listNames(names)}`

const valueAt = (value: unknown, path: Path): unknown => {
  let current = value
  for (const segment of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, segment)) return undefined
    current = Reflect.get(current, segment)
  }
  return current
}

// Which keys a strict object knows is told only to the error map; an issue keeps the same array of unknown keys.
const knownKeys = new WeakMap<readonly string[], readonly string[]>()

const errorMap: z.core.$ZodErrorMap = (issue) => {
  if (issue.code === 'unrecognized_keys' && issue.inst instanceof z.ZodObject) {
    knownKeys.set(issue.keys, Object.keys(issue.inst.shape))
  }
  // Empty: nobody has given this issue a message of its own, so it gets one of ours below.
  return ''
}

const count = (size: number | bigint, origin: string): string => {
  const units: Readonly<Record<string, readonly [string, string]>> = {
    string: ['character', 'characters'],
    array: ['item', 'items'],
    record: ['key', 'keys'],
    object: ['key', 'keys'],
  }
  const unit = units[origin]
  return unit === undefined ? `${size}` : `${size} ${unit[size === 1 ? 0 : 1]}`
}

const limit = (issue: z.core.$ZodIssueTooBig | z.core.$ZodIssueTooSmall): string => {
  const big = issue.code === 'too_big'
  const size = big ? issue.maximum : issue.minimum
  if (issue.exact === true) return `exactly ${count(size, issue.origin)}`
  if (issue.inclusive === false) return `${big ? 'less' : 'more'} than ${count(size, issue.origin)}`
  return `at ${big ? 'most' : 'least'} ${count(size, issue.origin)}`
}

const spell = (value: unknown): string => (value === null ? 'nothing' : String(value))

const expectation = (issue: Issue): string => {
  switch (issue.code) {
    case 'invalid_type':
      return EXPECTED.get(issue.expected) ?? issue.expected
    case 'invalid_value':
      return oneOf(issue.values.map(spell))
    case 'too_big':
    case 'too_small':
      return limit(issue)
    case 'not_multiple_of':
      return `a multiple of ${issue.divisor}`
    case 'invalid_format':
      return issue.format === 'regex' && issue.pattern !== undefined
        ? `a string of the form ${issue.pattern}`
        : `a valid ${issue.format}`
    case 'invalid_union':
      return oneOf(optionsOf(issue)?.map(spell) ?? [unionExpectation(issue)])
    default:
      return 'something else'
  }
}

/** What a discriminator may be; null for a union without one. */
const optionsOf = (issue: z.core.$ZodIssueInvalidUnion): readonly unknown[] | null =>
  'options' in issue ? (issue.options ?? null) : null

const unionExpectation = (issue: z.core.$ZodIssueInvalidUnion): string => {
  const wanted = issue.errors.flatMap((branch) => branch.filter(isAtTop).map(expectation))
  return [...new Set(wanted)].join(' or ') || 'another form'
}

const isAtTop = (issue: Issue): boolean => issue.path.length === 0

/** A branch is meant when the node's own type fits it: then its inner mistakes are the ones to tell. */
const isMeant = (branch: readonly Issue[]): boolean =>
  !branch.some((issue) => isAtTop(issue) && (issue.code === 'invalid_type' || issue.code === 'invalid_value'))

const withPath = (issue: Issue, prefix: Path): Issue => ({ ...issue, path: [...prefix, ...issue.path] })

const toPath = (path: Path): (string | number)[] =>
  path.map((segment) => (typeof segment === 'symbol' ? String(segment) : segment))

const unknownKeys = (issue: z.core.$ZodIssueUnrecognizedKeys): Problem[] => {
  const known = knownKeys.get(issue.keys) ?? []
  return issue.keys.map((key) => {
    const expected = known.length === 0 ? '' : `, expected ${oneOf(known)}`
    const message = `found the unknown key ${JSON.stringify(key)}${expected}${didYouMean(key, known)}`
    return { path: [...toPath(issue.path), key], message, rule: 'unknown-key', atKey: true }
  })
}

const suggestion = (found: unknown, issue: Issue): string => {
  if (typeof found !== 'string') return ''
  let options: readonly unknown[] = []
  if (issue.code === 'invalid_value') options = issue.values
  if (issue.code === 'invalid_union') options = optionsOf(issue) ?? []
  return didYouMean(
    found,
    options.filter((option) => typeof option === 'string'),
  )
}

const leaf = (issue: Issue, value: unknown, base: Problem['path']): Problem => {
  const path = toPath(issue.path)
  const found = valueAt(value, issue.path)
  const key = [...base, ...path].at(-1)
  // A message that a schema gives to a check of zod's says what is expected; one of its own checks says all.
  const expected = issue.message === '' ? `expected ${expectation(issue)}` : issue.message
  if (found === undefined && typeof key === 'string') {
    return { path, message: `missing key ${JSON.stringify(key)}: ${expected}`, rule: 'missing-key' }
  }
  if (issue.code === 'custom') return { path, message: expected, ...paramsOf(issue) }
  const mayQuote = isQuotable(issue, [...base, ...path])
  const near = mayQuote ? suggestion(found, issue) : ''
  return { path, message: `found ${describeFound(found, mayQuote)}, ${expected}${near}` }
}

const isQuotable = (issue: Issue, path: Problem['path']): boolean => {
  const names = path.filter((segment) => typeof segment === 'string')
  const isWord =
    issue.code === 'invalid_value' || (issue.code === 'invalid_union' && optionsOf(issue) !== null)
  // What should have been one of a few words is judged by its own key alone.
  if (isWord) return !isSensitive(names.slice(-1))
  // A secret is a union of its two forms, and what is in its place may be the secret.
  return issue.code !== 'invalid_union' && !isSensitive(names)
}

/** What a schema says of an issue of its own, by zod's `params`: the rule, and where to point. */
const paramsOf = (issue: Issue): { rule?: string; atKey?: boolean; offset?: number } => {
  const params = issue.code === 'custom' ? issue.params : undefined
  return {
    ...(typeof params?.rule === 'string' ? { rule: params.rule } : {}),
    ...(params?.atKey === true ? { atKey: true } : {}),
    ...(typeof params?.offset === 'number' ? { offset: params.offset } : {}),
  }
}

const problemsOf = (issue: Issue, value: unknown, base: Problem['path']): Problem[] => {
  if (valueAt(value, issue.path) === UNREADABLE) return []
  if (issue.code === 'unrecognized_keys') return unknownKeys(issue)
  if (issue.code === 'invalid_key') {
    const reason = issue.issues.find((inner) => inner.message !== '') ?? issue.issues[0]
    const expected =
      reason === undefined ? 'another name' : reason.message || `expected ${expectation(reason)}`
    return [
      { path: toPath(issue.path), message: `found a name that is not allowed, ${expected}`, atKey: true },
    ]
  }
  if (issue.code === 'invalid_union' && issue.message === '' && optionsOf(issue) === null) {
    const meant = issue.errors.filter(isMeant)
    const [first] = meant.sort((left, right) => left.length - right.length)
    if (first !== undefined)
      return first.flatMap((inner) => problemsOf(withPath(inner, issue.path), value, base))
  }
  return [leaf(issue, value, base)]
}

/**
 * A value by its schema, or every mistake in it, placed from that value on.
 *
 * @param base the path that led to the value, for messages that name it.
 */
export const parseBySchema = <T>(
  schema: z.ZodType<T>,
  value: unknown,
  base: Problem['path'] = [],
):
  | { readonly value: T; readonly problems: null }
  | { readonly value: null; readonly problems: readonly Problem[] } => {
  const parsed = schema.safeParse(value, { error: errorMap })
  if (parsed.success) return { value: parsed.data, problems: null }
  return { value: null, problems: parsed.error.issues.flatMap((issue) => problemsOf(issue, value, base)) }
}
