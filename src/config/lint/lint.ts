import type { Finding } from '../../core/problem.ts'
import type { ReviewedQuestion } from '../../core/question-outline.ts'
import { enginesOf } from '../../core/route.ts'
import { applyDisables, type TextOf } from './disables.ts'
import type { LintNote } from './lint-rule.ts'
import type { Lintable, LintedRoute } from './lintable.ts'
import { LINT_RULES } from './rules.ts'

/**
 * What a reviewer should see in a configuration that would be served.
 *
 * Every finding is a warning, and names its rule. Does not find what is wrong: that is loading's part.
 */
export const lint = (lintable: Lintable, textOf: TextOf): readonly Finding[] => {
  const findings: Finding[] = []
  for (const { id, find } of LINT_RULES) find(lintable, (note) => findings.push(findingOf(id, note)))
  findings.push(...reviewEngines(lintable))
  const files = new Set([
    lintable.gateway.source.file,
    ...lintable.routes.map(({ draft }) => draft.part.source.file),
    ...findings.map(({ file }) => file),
  ])
  return applyDisables(findings, [...files], textOf, routeLines(lintable))
}

const findingOf = (rule: string, { part, path = [], atKey, offset, message }: LintNote): Finding => {
  const place = {
    path: [...part.path, ...path],
    ...(atKey === undefined ? {} : { atKey }),
    ...(offset === undefined ? {} : { offset }),
  }
  return { severity: 'warning', rule, file: part.source.file, ...part.source.locate(place), message }
}

const reviewEngines = (lintable: Lintable): readonly Finding[] =>
  [...lintable.entries.engines].flatMap(([name, { create }]) => {
    const asked = new Map<ReviewedQuestion, LintedRoute>()
    for (const route of lintable.routes) {
      if (!enginesOf(route.configured.route).includes(name)) continue
      const subjectTypes = subjectTypesOf(lintable, route)
      for (const question of route.questions) asked.set({ ...question, subjectTypes }, route)
    }
    // That nobody asks it is one finding, not one a policy.
    const notes = asked.size === 0 ? [] : (create.review?.([...asked.keys()]) ?? [])
    return notes.map(({ rule, message, about }): Finding => {
      if ('file' in about) return { severity: 'warning', rule, message, ...about }
      const part = asked.get(about)?.draft.part
      if (part === undefined) throw new Error(`the engine ${name} reviewed a question that nobody asks`)
      return findingOf(rule, { part, message })
    })
  })

/** Types of the subjects that a route's authenticators make; null when one of them cannot tell. */
const subjectTypesOf = ({ entries }: Lintable, { configured }: LintedRoute): readonly string[] | null => {
  const types = new Set<string>()
  for (const name of configured.route.authenticate) {
    const made = entries.authenticators.get(name)?.description.subjectTypes ?? null
    if (made === null) return null
    for (const type of made) types.add(type)
  }
  return [...types]
}

/** Says on which line the route begins that holds a line. */
const routeLines = ({ routes }: Lintable) => {
  const starts = new Map<string, number[]>()
  for (const { configured } of routes) {
    const lines = starts.get(configured.file) ?? []
    lines.push(configured.line)
    starts.set(configured.file, lines)
  }
  return (file: string, line: number): number =>
    (starts.get(file) ?? []).filter((start) => start <= line).sort((left, right) => right - left)[0] ?? line
}
