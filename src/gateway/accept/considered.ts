import type { Route } from '../../core/route.ts'
import { type ConditionSubject, conditionsFit } from './conditions.ts'
import { select, type TemplateRoute, type TemplateRoutes } from './template-routes.ts'

/** A route whose host and path a request fits, and whether it got the request, or why not. */
export interface Considered {
  readonly route: Route
  readonly why: 'chosen' | 'method' | 'conditions' | 'fewer_conditions' | 'less_specific' | 'ambiguous'
}

type Question = ConditionSubject & { readonly method: string }

/**
 * Holds a request against one template after the other, in the order in which they are chosen.
 *
 * Follows the rules of `RouteTable.find`, which a test compares it with; for explanations only.
 */
export const createConsideration = (question: Question) => {
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
  question: Question,
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
