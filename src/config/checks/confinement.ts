import {
  isTemplateMistake,
  type PathTemplate,
  parsePathTemplate,
  type TemplateSegment,
} from '../../core/path-template.ts'
import type { Problem } from '../../core/problem.ts'
import { canonicalHostPattern } from '../../gateway/accept/host-table.ts'
import { readMatch } from '../../gateway/accept/match.ts'
import { below, child } from '../parse-part.ts'
import type { Entry } from '../read-gateway.ts'
import type { RouteDraft } from '../route-drafts.ts'
import type { RoutesEntry } from '../routes-entry.ts'

const listed = (names: readonly string[]): string => {
  if (names.length === 0) return 'none is'
  return names.length === 1 ? `only ${names[0]} is` : `only ${names.join(', ')} are`
}

const withoutPort = (host: string): string => host.replace(/:[0-9]+$/, '')

/** True when every host that the route takes is one of the allowed ones. */
export const hostCovered = (host: string, allowed: string): boolean => {
  const wanted = canonicalHostPattern(host)
  const permitted = canonicalHostPattern(allowed)
  if (wanted === null || permitted === null) return false
  if (wanted === permitted || withoutPort(wanted) === permitted) return true
  if (!permitted.startsWith('*.')) return false
  const suffix = permitted.slice(1)
  return wanted.endsWith(suffix) || withoutPort(wanted).endsWith(suffix)
}

export type Pattern = readonly (TemplateSegment | 'anything' | 'tail')[]

/** `*` is one segment, and the rest at the end; null for what is no template. */
const publicPattern = (text: string): Pattern | null => {
  const stars = /\/\*{1,2}$/.exec(text)
  const template = parsePathTemplate(stars === null ? text : text.slice(0, stars.index) || '/')
  if (isTemplateMistake(template)) return null
  return stars === null ? template.segments : [...template.segments, 'tail']
}

const segmentCovered = (segment: TemplateSegment, allowed: Pattern[number]): boolean => {
  if (segment.kind === 'rest' || typeof allowed === 'string') return false
  if (allowed.kind === 'name') return true
  if (allowed.kind === 'literal') return segment.kind === 'literal' && segment.text === allowed.text
  return allowed.kind === 'pattern' && segment.kind === 'pattern' && segment.pattern === allowed.pattern
}

const isTail = (allowed: Pattern[number] | undefined): boolean =>
  allowed === 'tail' || (typeof allowed === 'object' && allowed.kind === 'rest')

/** True when every path that the template takes is one of the allowed ones. */
export const pathCovered = ({ segments }: PathTemplate, allowed: Pattern): boolean => {
  for (let index = 0; index < Math.max(segments.length, allowed.length); index += 1) {
    const wanted = segments[index]
    const permitted = allowed[index]
    // A tail may be empty, here as in matching: /assets/{*rest} takes /assets too.
    if (isTail(permitted)) return true
    if (wanted === undefined || permitted === undefined || !segmentCovered(wanted, permitted)) return false
  }
  return true
}

const checkHost = ({ map, entry, host, report }: RouteDraft): void => {
  const { hosts } = map.entry.value.confinement
  if (hosts === null) return
  const path =
    typeof entry.match !== 'string' && entry.match.host !== undefined ? ['match', 'host'] : ['host']
  if (host === undefined) {
    const message = `missing key "host": these routes are for some hosts, and ${listed(hosts)} allowed`
    report({ path: [], rule: 'confined-host', message })
  } else if (!hosts.some((allowed) => hostCovered(host, allowed))) {
    const message = `found the host ${JSON.stringify(host)}, which this file may not take: ${listed(hosts)} allowed`
    report({ path, rule: 'confined-host', message })
  }
}

const checkListed = (
  draft: RouteDraft,
  kind: string,
  name: string,
  allowed: readonly string[] | null,
  path: Problem['path'],
): void => {
  if (name === '' || allowed === null || allowed.includes(name)) return
  const message = `found the ${kind} ${JSON.stringify(name)}, which this file may not use: ${listed(allowed)} allowed`
  draft.report({ path, rule: `confined-${kind}`, message })
}

const checkPublic = ({ map, entry, route, report }: RouteDraft): void => {
  const allowed = map.entry.value.confinement.public
  if (allowed === null || route.access !== 'public') return
  const match = readMatch(entry.match, () => undefined)
  const template = match === null ? null : parsePathTemplate(match.path)
  // A path that is no template is reported where templates are compiled.
  if (match === null || template === null || isTemplateMistake(template)) return
  const patterns = allowed.map(publicPattern).filter((pattern) => pattern !== null)
  if (!patterns.some((pattern) => pathCovered(template, pattern))) {
    const message = `found a public route on ${match.path}, which this file may not have: ${listed(allowed)} allowed`
    report({ path: ['access'], rule: 'confined-public', message })
  } else if (entry.rewrite !== undefined) {
    const message =
      'found rewrite on a public route, which this file may not have: it would reach other paths'
    report({ path: ['rewrite'], rule: 'confined-public', message, atKey: true })
  }
}

/** Reports what a route does although its entry in the gateway file does not allow it. */
export const checkConfinement = (draft: RouteDraft): void => {
  const { upstreams, engines, authenticators } = draft.map.entry.value.confinement
  const { upstream, shadow, authenticate } = draft.route
  checkHost(draft)
  checkListed(draft, 'upstream', upstream, upstreams, ['upstream'])
  for (const [index, name] of draft.engines.entries()) {
    // The list form of a route stands for the single one of the defaults, and the other way round.
    const isList =
      (draft.entry.engine === undefined && draft.entry.engines !== undefined) || draft.engines.length > 1
    checkListed(draft, 'engine', name, engines, isList ? ['engines', index] : ['engine'])
  }
  if (shadow !== undefined) checkListed(draft, 'engine', shadow, engines, ['shadow'])
  authenticate.forEach((name, index) => {
    checkListed(draft, 'authenticator', name, authenticators, ['authenticate', index])
  })
  checkPublic(draft)
}

/** Reports what is wrong with a confinement itself. */
export const checkConfinementEntry = ({ part, value }: Entry<RoutesEntry>): void => {
  const paths = child(part, 'public')
  value.confinement.public?.forEach((text, index) => {
    if (publicPattern(text) !== null) return
    const message = `found ${JSON.stringify(text)}, expected a path template such as /health, or one with /* at its end`
    below(paths.source, paths.path)({ path: [index], rule: 'path-template', message })
  })
}
