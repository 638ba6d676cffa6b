import { placeOf } from '../../place.ts'
import type { LintRule } from '../lint-rule.ts'
import type { LintedRoute } from '../lintable.ts'
import { quoted } from '../overlap.ts'

/** The same action on the same kind of thing, decided on other grounds by another team. */
export const splitDecision: LintRule = {
  id: 'split-decision',
  find: ({ routes }, tell) => {
    const first = new Map<string, { readonly route: LintedRoute; readonly grounds: Grounds }>()
    for (const route of routes) {
      for (const question of route.questions) {
        const { action, resourceType, contextKeys, at } = question
        if (action === null || resourceType === null) continue
        const key = JSON.stringify([action, resourceType])
        const grounds = { engine: route.configured.route.engine, context: contextKeys.join(', ') }
        const known = first.get(key)
        if (known === undefined) first.set(key, { route, grounds })
        else {
          const difference = differenceOf(grounds, known.grounds)
          if (difference === null || ownerOf(known.route) === ownerOf(route)) continue
          const where = placeOf(known.route.draft.part, route.draft.part.source.file)
          const message = `${action} on ${resourceType} is decided ${difference} than in the route ${quoted(known.route)} of ${ownerOf(known.route)} at ${where}: one rule for all would be another in each`
          tell({ part: route.draft.part, path: at.action, message })
        }
      }
    }
  },
}

interface Grounds {
  readonly engine: string
  readonly context: string
}

const ownerOf = ({ configured }: LintedRoute): string => configured.route.owner

const differenceOf = (mine: Grounds, other: Grounds): string | null => {
  if (mine.engine !== other.engine) return `by another engine (${mine.engine} instead of ${other.engine})`
  if (mine.context === other.context) return null
  return `with other context (${mine.context || 'none'} instead of ${other.context || 'none'})`
}

/** A route that may keep its answers, and never can: what it asks changes with every request. */
export const uncacheableGrant: LintRule = {
  id: 'uncacheable-grant',
  find: ({ routes }, tell) => {
    for (const { draft, configured } of routes) {
      const { plan, grant, route } = configured
      if (route.access === 'public' || plan.cacheable || grant === null) continue
      const message = `the route ${JSON.stringify(route.name)} asks with ${plan.volatileReads.join(', ')}, which changes with every request, so that no answer is ever kept; expected grant: { quantise: 60s }, or grant: none to say that this is meant`
      tell({ part: draft.part, ...(draft.entry.grant === undefined ? {} : { path: ['grant'] }), message })
    }
  },
}

/** A header that an application gets from some of its routes, and on others from nobody. */
export const unsetHeader: LintRule = {
  id: 'unset-header',
  find: ({ routes }, tell) => {
    for (const route of routes) {
      const { upstream, access } = route.configured.route
      if (access === 'public') continue
      const siblings = routes.filter(
        ({ configured }) => configured.route.upstream === upstream && configured.route.access !== 'public',
      )
      const own = new Set(route.configured.plan.headerNames.map((name) => name.toLowerCase()))
      const missing = new Map<string, LintedRoute>()
      for (const sibling of siblings) {
        for (const name of sibling.configured.plan.headerNames) {
          if (!own.has(name.toLowerCase()) && !missing.has(name)) missing.set(name, sibling)
        }
      }
      for (const [name, sibling] of missing) {
        const where = placeOf(sibling.draft.part, route.draft.part.source.file)
        const message = `the route ${quoted(route)} does not set ${name}, which the upstream ${upstream} gets from the route ${quoted(sibling)} at ${where}; callers cannot send it, so the application gets none here`
        tell({ part: route.draft.part, message })
      }
    }
  },
}
