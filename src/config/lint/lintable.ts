import { isTemplateMistake, parsePathTemplate, type TemplateSegment } from '../../core/path-template.ts'
import { canonicalHostPattern } from '../../gateway/accept/host-table.ts'
import { type Match, readMatch } from '../../gateway/accept/match.ts'
import type { RouteTable } from '../../gateway/accept/route-table.ts'
import { outlineQuestions, type WrittenQuestion } from '../../gateway/bind/outline.ts'
import type { ConfiguredRoute } from '../configuration.ts'
import type { PreparedEntries } from '../prepare-entries.ts'
import type { GatewayFile } from '../read-gateway.ts'
import type { RouteDraft } from '../route-drafts.ts'

/** A route as the rules look at it. */
export interface LintedRoute {
  readonly draft: RouteDraft
  readonly configured: ConfiguredRoute
  readonly match: Match
  readonly segments: readonly TemplateSegment[]
  /** Canonical; null: any host. */
  readonly host: string | null
  /** What it asks, as far as that is the same for every request. */
  readonly questions: readonly WrittenQuestion[]
}

/** A configuration in which nothing is wrong, with all that tells where it is written. */
export interface Lintable {
  readonly gateway: GatewayFile
  readonly routes: readonly LintedRoute[]
  readonly table: RouteTable
  readonly entries: PreparedEntries
}

export const createLintable = (
  gateway: GatewayFile,
  drafts: readonly RouteDraft[],
  compiled: { readonly table: RouteTable; readonly routes: readonly ConfiguredRoute[] },
  entries: PreparedEntries,
): Lintable => ({
  gateway,
  entries,
  table: compiled.table,
  routes: drafts.flatMap((draft, index): readonly LintedRoute[] => {
    const configured = compiled.routes[index]
    const match = readMatch(draft.entry.match, () => undefined)
    const template = match === null ? null : parsePathTemplate(match.path)
    // Nothing is wrong with the configuration: this narrows types.
    if (configured === undefined || match === null || template === null) return []
    if (isTemplateMistake(template)) return []
    const { segments } = template
    const host = draft.host === undefined ? null : canonicalHostPattern(draft.host)
    return [{ draft, configured, match, segments, host, questions: outlineQuestions(draft.entry) }]
  }),
})
