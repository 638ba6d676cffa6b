import { METHODS } from 'node:http'
import { isTemplateMistake, parsePathTemplate } from '../../core/path-template.ts'
import type { Problem } from '../../core/problem.ts'
import type { MatchConfig } from './config.ts'

/** A match in one form, however it was written. */
export interface Match {
  /** Null: every method. */
  readonly methods: readonly string[] | null
  readonly path: string
  readonly host: string | undefined
  /** Names in lower case. */
  readonly headers: ReadonlyMap<string, Wanted>
  readonly query: ReadonlyMap<string, Wanted>
  /** Where its parts are written, from the route on, and where the path starts in there. */
  readonly at: {
    readonly methods: Problem['path']
    readonly path: Problem['path']
    readonly pathOffset: number
  }
}

/** The exact value, or whether the key must be there. */
export type Wanted = string | boolean

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const SHORT_FORM = /^(\S+) (\/.*)$/
const NOTHING: ReadonlyMap<string, Wanted> = new Map()

// CONNECT is not forwarded at all.
const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS.filter((method) => method !== 'CONNECT'))

/**
 * Brings the short and the long form of a match into one, reporting what is wrong with it.
 *
 * @returns null when something was reported. Does not check: the path template, the host.
 */
export const readMatch = (config: MatchConfig, report: (problem: Problem) => void): Match | null => {
  if (typeof config === 'string') return readShortForm(config, report)
  let sound = true
  const mistake = (problem: Problem): void => {
    sound = false
    report(problem)
  }
  const at = { methods: ['match', 'methods'], path: ['match', 'path'], pathOffset: 0 }
  const methods = readMethods(config.methods ?? ['*'], at.methods, mistake)
  const headers = readHeaders(config.headers, mistake)
  const query = new Map(Object.entries(config.query))
  return sound ? { methods, path: config.path, host: config.host, headers, query, at } : null
}

/** The captures of a match's path template, in order; none of one with a mistake. */
export const matchCaptures = (config: MatchConfig): readonly string[] => {
  const match = readMatch(config, () => undefined)
  const template = match === null ? null : parsePathTemplate(match.path)
  return template === null || isTemplateMistake(template) ? [] : template.captures
}

/** The methods of a match; null for every one, and for one with a mistake. */
export const matchMethods = (config: MatchConfig): readonly string[] | null => {
  const methods = readMatch(config, () => undefined)?.methods ?? null
  return methods === null ? null : [...methods]
}

/** The host that a match is for: its own, else the one that its route says, else any. */
export const matchHost = (config: MatchConfig, routeHost: string | undefined): string | undefined =>
  typeof config === 'string' ? routeHost : (config.host ?? routeHost)

/** Lower-case names of the header fields that choose the route; `Connection` must not take them away. */
export const matchHeaderNames = (config: MatchConfig): readonly string[] =>
  typeof config === 'string' ? [] : Object.keys(config.headers).map((name) => name.toLowerCase())

const readShortForm = (text: string, report: (problem: Problem) => void): Match | null => {
  const [, methodList, path] = SHORT_FORM.exec(text) ?? []
  if (methodList === undefined || path === undefined) {
    const expected = 'expected methods, one space and a path, such as GET /accounts/{accountId}'
    report({ path: ['match'], message: `found ${JSON.stringify(text)}, ${expected}` })
    return null
  }
  let sound = true
  const methods = readMethods(methodList.split(','), ['match'], (problem) => {
    sound = false
    report(problem)
  })
  if (!sound) return null
  const at = { methods: ['match'], path: ['match'], pathOffset: methodList.length + 1 }
  return { methods, path, host: undefined, headers: NOTHING, query: NOTHING, at }
}

const readMethods = (
  names: readonly string[],
  path: Problem['path'],
  report: (problem: Problem) => void,
): readonly string[] | null => {
  if (names.length === 1 && names[0] === '*') return null
  for (const [index, name] of names.entries()) {
    if (KNOWN_METHODS.has(name) && names.indexOf(name) === index) continue
    const at = path.length > 1 ? [...path, index] : path
    report({ path: at, message: methodMistake(name, names.indexOf(name) !== index) })
  }
  return names
}

const methodMistake = (name: string, repeated: boolean): string => {
  if (repeated) return `the method ${name} is there twice`
  if (name === '*') return 'found * among other methods, expected it alone'
  const upper = name.toUpperCase()
  const near = KNOWN_METHODS.has(upper) ? `; did you mean ${upper}?` : ''
  return `found the method ${JSON.stringify(name)}, expected one that HTTP knows${near}`
}

const readHeaders = (
  conditions: Readonly<Record<string, Wanted>>,
  report: (problem: Problem) => void,
): ReadonlyMap<string, Wanted> => {
  const headers = new Map<string, Wanted>()
  for (const [name, wanted] of Object.entries(conditions)) {
    const lowerName = name.toLowerCase()
    const path = ['match', 'headers', name]
    if (!HEADER_NAME.test(name)) {
      report({ path, message: `found ${JSON.stringify(name)}, expected a header name`, atKey: true })
    } else if (headers.has(lowerName)) {
      report({ path, message: `the header ${name} is there twice`, atKey: true })
    } else if (lowerName === 'host') {
      report({ path, message: 'found the header Host, expected host: beside path', atKey: true })
    }
    headers.set(lowerName, wanted)
  }
  return headers
}
