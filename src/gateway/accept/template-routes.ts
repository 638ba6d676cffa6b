import type { Route } from '../../core/route.ts'
import { type Ambiguous, type ConditionSubject, type Conditions, conditionsFit } from './conditions.ts'
import type { MatchFlags } from './config.ts'

/** A route at its template. */
export interface TemplateRoute {
  readonly route: Route
  readonly flags: MatchFlags
  /** Names for the captures of the template, in order. */
  readonly captures: readonly string[]
  /** Null: every method. */
  readonly methods: readonly string[] | null
  readonly conditions: Conditions
}

/** The routes of one host and one shape of a path. Written to while a table is compiled. */
export interface TemplateRoutes {
  readonly routes: TemplateRoute[]
  /** By method, then by conditions: who has them already. `*` is every method. */
  readonly taken: Map<string, Map<string, TemplateRoute>>
  /** Those for a method, with the most conditions first; also those for every method. */
  readonly byMethod: Map<string, readonly TemplateRoute[]>
  anyMethod: readonly TemplateRoute[]
  /** Only when all of its routes say so. */
  fallThrough: boolean
}

export const createTemplateRoutes = (): TemplateRoutes => ({
  routes: [],
  taken: new Map(),
  byMethod: new Map(),
  anyMethod: [],
  fallThrough: false,
})

/** Adds a route, unless another one fits the same requests: that one is returned. */
export const addToTemplate = (template: TemplateRoutes, added: TemplateRoute): TemplateRoute | null => {
  const methods = added.methods ?? ['*']
  const { key } = added.conditions
  const rivals = added.methods === null ? [...template.taken.keys()] : [...methods, '*']
  for (const method of rivals) {
    const twin = template.taken.get(method)?.get(key)
    if (twin !== undefined) return twin
  }
  for (const method of methods) {
    const byConditions = template.taken.get(method) ?? new Map<string, TemplateRoute>()
    template.taken.set(method, byConditions.set(key, added))
  }
  template.routes.push(added)
  return null
}

/** Makes a template ready for `select`, when all of its routes are there. */
export const seal = (template: TemplateRoutes): void => {
  // Stable: with equally many conditions, the order of the configuration stands.
  const sorted = template.routes.toSorted((left, right) => right.conditions.size - left.conditions.size)
  template.anyMethod = sorted.filter(({ methods }) => methods === null)
  for (const method of new Set(template.routes.flatMap(({ methods }) => methods ?? []))) {
    template.byMethod.set(
      method,
      sorted.filter(({ methods }) => methods === null || methods.includes(method)),
    )
  }
  template.fallThrough = template.routes.every(({ flags }) => flags.fallThrough)
}

/** The route of a template that fits method and conditions; HEAD follows GET where it has no route of its own. */
export const select = (
  template: TemplateRoutes,
  subject: ConditionSubject & { readonly method: string },
): TemplateRoute | Ambiguous | null => {
  const own = firstFit(template.byMethod.get(subject.method) ?? template.anyMethod, subject)
  if (own !== null || subject.method !== 'HEAD') return own
  return firstFit(template.byMethod.get('GET') ?? template.anyMethod, subject)
}

const firstFit = (
  routes: readonly TemplateRoute[],
  subject: ConditionSubject,
): TemplateRoute | Ambiguous | null => {
  for (const entry of routes) {
    if (entry.conditions.size === 0) return entry
    const fits = conditionsFit(entry.conditions, subject)
    if (typeof fits !== 'boolean') return fits
    if (fits) return entry
  }
  return null
}
