import { placeOf } from '../../place.ts'
import type { LintRule } from '../lint-rule.ts'
import type { LintedRoute } from '../lintable.ts'
import { covers, describeMatch, quoted, sameShape, sharedMethods } from '../overlap.ts'
import { whoTakes } from '../witness.ts'

/** A route of which every request that fits it goes elsewhere. */
export const unreachableRoute: LintRule = {
  id: 'unreachable-route',
  find: ({ routes, table }, tell) => {
    for (const route of routes) {
      const taken = whoTakes(table, route)
      if (taken === null) continue
      const [first] = taken
      const example = `${first?.question.method} ${first?.question.path}`
      const rival = first?.by ?? null
      const taker = rival === null ? null : (routes[rival.index] ?? null)
      const where =
        taker === null
          ? `${example} finds no route, since a more specific path is chosen first`
          : `${example} goes to the route ${quoted(taker)} at ${placeOf(taker.draft.part, route.draft.part.source.file)}`
      const message = `no request reaches the route ${quoted(route)}: ${where}`
      tell({ part: route.draft.part, path: ['match'], message })
    }
  },
}

/** A route that looks as if it took requests that a more specific path keeps from it, to refuse them. */
export const shadowedRoute: LintRule = {
  id: 'shadowed-route',
  find: ({ routes }, tell) => {
    for (const broad of routes) {
      const lost = broad.configured.flags.fallThrough ? [] : lostTo(broad, routes)
      if (lost.length === 0) continue
      const shown = lost.slice(0, MOST_SHOWN).join(', nor ')
      const more = lost.length > MOST_SHOWN ? `, nor of ${lost.length - MOST_SHOWN} more` : ''
      const message = `the route ${quoted(broad)} does not get ${shown}${more}: a more specific path is chosen first, whatever the method, and a method that nothing takes there is no_route; expected fallThrough: true there, or a route for it`
      tell({ part: broad.draft.part, path: ['match'], message })
    }
  },
}

const MOST_SHOWN = 3

/** What other routes keep from a broad one without taking it themselves, one text a more specific path. */
const lostTo = (broad: LintedRoute, routes: readonly LintedRoute[]): readonly string[] => {
  const narrower = routes.filter((other) => isNarrower(other, broad))
  const texts = new Set<string>()
  for (const narrow of narrower) {
    const group = narrower.filter((other) => other.host === narrow.host && sameShape(other, narrow))
    if (group.some(({ configured }) => configured.flags.fallThrough)) continue
    const methods = lostMethods(broad, group)
    if (methods !== null)
      texts.add(`${methods} of ${group[0]?.match.path} (the route ${group.map(quoted).join(', ')})`)
  }
  return [...texts]
}

const isNarrower = (inner: LintedRoute, outer: LintedRoute): boolean =>
  inner !== outer && covers(outer, inner) && !(inner.host === outer.host && sameShape(inner, outer))

/** Methods of `broad` that no route of the more specific path takes; null when there are none. */
const lostMethods = (broad: LintedRoute, group: readonly LintedRoute[]): string | null => {
  const taken = new Set<string>()
  for (const { match } of group) {
    if (match.methods === null) return null
    for (const method of match.methods) taken.add(method)
  }
  if (broad.match.methods === null) return 'other methods'
  const lost = broad.match.methods.filter((method) => !taken.has(method))
  return lost.length === 0 ? null : lost.join(', ')
}

/** Two teams' route maps that are for the same requests: the narrower one takes them from the other. */
export const claimedTwice: LintRule = {
  id: 'claimed-twice',
  find: ({ routes }, tell) => {
    for (const inner of routes) {
      const outer = routes.find((other) => isClaim(inner, other))
      if (outer === undefined) continue
      const where = placeOf(outer.draft.part, inner.draft.part.source.file)
      const message = `the route ${quoted(inner)} of ${inner.configured.route.owner} takes requests from ${describeMatch(outer)}, the route ${quoted(outer)} of ${outer.configured.route.owner} at ${where}`
      tell({ part: inner.draft.part, path: ['match'], message })
    }
  },
}

const isClaim = (inner: LintedRoute, outer: LintedRoute): boolean =>
  inner.configured.route.owner !== outer.configured.route.owner &&
  covers(outer, inner) &&
  sharedMethods(inner, outer).length > 0

/** A public route whose path holds that of a protected one: what is added below it later is public. */
export const publicOverProtected: LintRule = {
  id: 'public-over-protected',
  find: ({ routes }, tell) => {
    for (const open of routes.filter(isPublic)) {
      const guarded = routes.find((other) => !isPublic(other) && isNarrower(other, open))
      if (guarded === undefined) continue
      const where = placeOf(guarded.draft.part, open.draft.part.source.file)
      const message = `the public route ${quoted(open)} is for ${open.match.path}, in which the route ${quoted(guarded)} at ${where} is protected: whatever is added there later is public unless somebody maps it`
      tell({ part: open.draft.part, path: ['match'], message })
    }
  },
}

/** A public route that is public on every host that the gateway will ever have. */
export const publicWithoutHost: LintRule = {
  id: 'public-without-host',
  find: ({ routes }, tell) => {
    for (const open of routes) {
      if (!isPublic(open) || open.host !== null) continue
      const message = `the public route ${quoted(open)} names no host, so that it is public on every one; expected host: here or in defaults`
      tell({ part: open.draft.part, message })
    }
  },
}

const isPublic = ({ configured }: LintedRoute): boolean => configured.route.access === 'public'

/** A tail of which the policy sees nothing: it is asked the same for all that is below. */
export const broadRoute: LintRule = {
  id: 'broad-route',
  find: ({ routes }, tell) => {
    for (const route of routes) {
      const tail = route.segments.at(-1)
      if (isPublic(route) || tail?.kind !== 'rest') continue
      const reads = route.configured.plan.questions.flatMap((question) => question.reads)
      const seen = reads.some(
        ({ root, keys }) =>
          (root === 'path' && (keys[0] === undefined || keys[0] === tail.name)) ||
          (root === 'request' && (keys[0] === 'path' || keys[0] === undefined)),
      )
      if (seen) continue
      const message = `the route ${quoted(route)} takes every path below, and no part of its question holds {*${tail.name}}: whoever may see one of them may see all; expected path.${tail.name} or request.path in what is asked`
      tell({ part: route.draft.part, path: ['match'], message })
    }
  },
}
