import { type PathOptIns, unmetNeed } from '../../core/canonical-target.ts'
import { isTemplateMistake, type PathTemplate, parsePathTemplate } from '../../core/path-template.ts'
import type { Problem } from '../../core/problem.ts'
import type { Route } from '../../core/route.ts'
import { isReservedPath } from './builtin-route.ts'
import { type Ambiguous, type ConditionSubject, compileConditions } from './conditions.ts'
import type { MatchConfig, MatchFlags } from './config.ts'
import { type Considered, createConsideration } from './considered.ts'
import { canonicalHostPattern, createHostTable, type HostTable, hostEntry, walkHosts } from './host-table.ts'
import { type Match, matchHost, readMatch } from './match.ts'
import { createTrieNode, insertTemplate, pathValues, type TrieNode, walkTrie } from './route-trie.ts'
import { createPatternCompiler } from './safe-pattern.ts'
import { addToTemplate, createTemplateRoutes, seal, select, type TemplateRoutes } from './template-routes.ts'

/** What a route is chosen by. */
export interface RouteQuestion extends ConditionSubject {
  readonly method: string
  /** Canonical, without port. */
  readonly host: string
  /** Digits; the scheme's own port when Host named none. */
  readonly port: string
  /** Canonical. */
  readonly path: string
}

export interface RouteFound {
  readonly route: Route
  /** Captures of the path template, decoded once; without a prototype. */
  readonly path: Readonly<Record<string, string>>
  readonly optIns: PathOptIns
}

export interface RouteTable {
  /** Null: no route. Does not check whether the route takes what the path needs. */
  readonly find: (question: RouteQuestion) => RouteFound | Ambiguous | null
  /** Every route whose host and path the request fits, the chosen one first; slow, for explanations. */
  readonly consider: (question: RouteQuestion) => readonly Considered[]
}

export interface RouteToCompile {
  readonly route: Route
  readonly match: MatchConfig
  readonly flags: MatchFlags
  /** Of the route or its file's defaults; the match may name another one. */
  readonly host: string | undefined
}

type Hosts = HostTable<TrieNode<TemplateRoutes>>
type Compile = ReturnType<typeof createPatternCompiler>

const MISS = Symbol('no route, and no less specific template either')

/**
 * Builds the table that chooses the route of a request: host first, then path template, then method and conditions.
 *
 * Reports bad templates and hosts, patterns that can take too long, reserved paths, and routes that cannot be
 * told apart. A route with a mistake is left out, so the table is of use only when nothing was reported.
 *
 * @param report gets the position in `routes`, a problem whose path starts at the route, and for routes that cannot
 * be told apart the earlier one.
 */
export const compileRoutes = (
  routes: readonly RouteToCompile[],
  report: (routeIndex: number, problem: Problem, twin?: Route) => void,
): RouteTable => {
  const hosts: Hosts = createHostTable()
  const compilePattern = createPatternCompiler()
  const templates = new Set<TemplateRoutes>()
  for (const [index, entry] of routes.entries()) {
    const tell = (problem: Problem, twin?: Route): void => report(index, problem, twin)
    const added = addRoute(hosts, entry, compilePattern, tell)
    if (added !== null) templates.add(added)
  }
  for (const template of templates) seal(template)
  return { find: (question) => find(hosts, question), consider: (question) => consider(hosts, question) }
}

const consider = (hosts: Hosts, question: RouteQuestion): readonly Considered[] => {
  const { look, result } = createConsideration(question)
  const values = pathValues(question.path)
  walkHosts(hosts, question, question.port, (trie) =>
    walkTrie(trie, values, (template): null => {
      look(template)
      return null
    }),
  )
  return result()
}

const find = (hosts: Hosts, question: RouteQuestion): RouteFound | Ambiguous | null => {
  const values = pathValues(question.path)
  const found = walkHosts(hosts, question, question.port, (trie) =>
    walkTrie(trie, values, (template, captures): RouteFound | Ambiguous | typeof MISS | null => {
      const chosen = select(template, question)
      if (chosen === null) return template.fallThrough ? null : MISS
      if ('ambiguous' in chosen) return chosen
      return { route: chosen.route, path: named(chosen.captures, captures), optIns: chosen.flags }
    }),
  )
  return found === MISS ? null : found
}

const NOTHING_CAPTURED: Readonly<Record<string, string>> = Object.freeze(Object.create(null))

const named = (names: readonly string[], values: readonly string[]): Readonly<Record<string, string>> => {
  if (names.length === 0) return NOTHING_CAPTURED
  const path: Record<string, string> = Object.create(null)
  for (let index = 0; index < names.length; index += 1) path[names[index] ?? ''] = values[index] ?? ''
  return path
}

const addRoute = (
  hosts: Hosts,
  entry: RouteToCompile,
  compilePattern: Compile,
  report: (problem: Problem, twin?: Route) => void,
): TemplateRoutes | null => {
  const match = readMatch(entry.match, report)
  if (match === null) return null
  const template = readTemplate(match, entry.flags, compilePattern, report)
  const host = readHost(entry, report)
  if (template === null || host === null) return null
  const trie = hostEntry(hosts, host.pattern, () => createTrieNode<TemplateRoutes>())
  const end = insertTemplate(trie, {
    segments: template.segments,
    ignoreCase: entry.flags.ignoreCase,
    regexp: (pattern) => compilePattern(pattern, entry.flags.ignoreCase).regexp ?? NEVER,
    create: createTemplateRoutes,
  })
  const { route, flags } = entry
  const conditions = compileConditions(match)
  const twin = addToTemplate(end, {
    route,
    flags,
    captures: template.captures,
    methods: match.methods,
    conditions,
  })
  if (twin === null) return end
  const message = `can never be told apart from the route ${JSON.stringify(twin.route.name)}: host, path, methods and conditions fit the same requests`
  report({ path: match.at.path, message, rule: 'ambiguous-route' }, twin.route)
  return null
}

// Patterns are compiled and checked before they are asked for; this one fits nothing.
const NEVER = /^\b$/

const readTemplate = (
  match: Match,
  flags: MatchFlags,
  compilePattern: Compile,
  report: (problem: Problem) => void,
): PathTemplate | null => {
  const tell = (message: string, offset: number, rule = 'path-template'): null => {
    report({ path: match.at.path, message, rule, offset: match.at.pathOffset + offset })
    return null
  }
  const template = parsePathTemplate(match.path)
  if (isTemplateMistake(template)) return tell(template.mistake, template.offset)
  if (isReservedPath(literalPrefix(template))) {
    return tell(
      'paths under /.sallyport/ and /.well-known/sallyport/ are kept for Sallyport',
      0,
      'reserved-path',
    )
  }
  const need = unmetNeed(template.needs, flags)
  if (need !== null) {
    const flag =
      template.needs.encodedSlash && !flags.allowEncodedSlash ? 'allowEncodedSlash' : 'allowPathParameters'
    return tell(`${need}, expected ${flag}: true on this route`, 0)
  }
  for (const segment of template.segments) {
    if (segment.kind !== 'pattern') continue
    const { mistake } = compilePattern(segment.pattern, flags.ignoreCase)
    if (mistake !== undefined) return tell(mistake, segment.offset, 'regular-expression')
  }
  return template
}

const literalPrefix = ({ segments }: PathTemplate): string => {
  let prefix = ''
  for (const segment of segments) {
    if (segment.kind !== 'literal') return `${prefix}/`
    prefix += `/${segment.text}`
  }
  return prefix
}

const readHost = (
  { match, host: routeHost }: RouteToCompile,
  report: (problem: Problem) => void,
): { readonly pattern: string | undefined } | null => {
  const host = matchHost(match, routeHost)
  if (host === undefined) return { pattern: undefined }
  const pattern = canonicalHostPattern(host)
  if (pattern !== null) return { pattern }
  const path = typeof match !== 'string' && match.host !== undefined ? ['match', 'host'] : ['host']
  report({
    path,
    message: `found ${JSON.stringify(host)}, expected a host name such as bank.example.com or *.example.com`,
    rule: 'host',
  })
  return null
}
