import type { CanonicalRequest } from '../../core/request.ts'
import type { Route } from '../../core/route.ts'
import { conditionsFit } from './conditions.ts'
import type { RouteQuestion, RouteTable } from './route-table.ts'
import { select, type TemplateRoute, type TemplateRoutes } from './template-routes.ts'

/** A route whose host and path a request fits, and whether it got the request, or why not. */
export interface Considered {
  readonly route: Route
  readonly why: 'chosen' | 'method' | 'conditions' | 'fewer_conditions' | 'less_specific' | 'ambiguous'
}

/**
 * Holds a request against one template after the other, in the order in which they are chosen.
 *
 * Follows the rules of `RouteTable.find`, which a test compares it with; for explanations only.
 */
export const createConsideration = (question: RouteQuestion) => {
  const considered: Considered[] = []
  let isDecided = false
  return {
    look: (template: TemplateRoutes): void => {
      const chosen = isDecided ? null : select(template, question)
      for (const entry of template.routes) {
        considered.push({ route: entry.route, why: whyOf(entry, question, chosen, isDecided) })
      }
      if (chosen !== null || !template.fallThrough) isDecided = true
    },
    /** The one that was chosen first, then the others as they came. */
    result: (): readonly Considered[] => considered.toSorted((left, right) => rank(left) - rank(right)),
  }
}

const rank = ({ why }: Considered): number => (why === 'chosen' ? 0 : 1)

const whyOf = (
  { route, methods, conditions }: TemplateRoute,
  question: RouteQuestion,
  chosen: ReturnType<typeof select>,
  isDecided: boolean,
): Considered['why'] => {
  if (chosen !== null && 'route' in chosen && chosen.route === route) return 'chosen'
  if (methods !== null && !takes(methods, question.method)) return 'method'
  const fits = conditionsFit(conditions, question)
  if (typeof fits !== 'boolean') return 'ambiguous'
  if (!fits) return 'conditions'
  return isDecided ? 'less_specific' : 'fewer_conditions'
}

const takes = (methods: readonly string[], method: string): boolean =>
  methods.includes(method) || (method === 'HEAD' && methods.includes('GET'))

/** What of a canonical request chooses its route. */
export type ConsideredRequest = Pick<
  CanonicalRequest,
  'method' | 'host' | 'authority' | 'scheme' | 'path' | 'query' | 'headers' | 'names'
>

/** Every route of a table whose host and path a request fits, the chosen one first, and why not the others. */
export const considerRoutes = (table: RouteTable, request: ConsideredRequest): readonly Considered[] => {
  const { method, host, authority, scheme, path, query, headers, names } = request
  const port = /:([0-9]+)$/.exec(authority)?.[1] ?? (scheme === 'https' ? '443' : '80')
  return table.consider({ method, host, port, path, query, headers, names })
}
