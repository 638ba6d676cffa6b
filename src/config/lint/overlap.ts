import type { TemplateSegment } from '../../core/path-template.ts'
import { hostCovered, pathCovered } from '../checks/confinement.ts'
import type { LintedRoute } from './lintable.ts'

/** True when every request for the host and path of `inner` is one for those of `outer`, whatever the method. */
export const covers = (outer: LintedRoute, inner: LintedRoute): boolean =>
  hostCovers(outer.host, inner.host) &&
  pathCovered({ segments: inner.segments, captures: [], needs: NONE }, outer.segments)

const NONE = { encodedSlash: false, pathParameters: false }

const hostCovers = (outer: string | null, inner: string | null): boolean =>
  outer === null || (inner !== null && hostCovered(inner, outer))

/** True when both are for the same paths but for the names of captures. */
export const sameShape = (left: LintedRoute, right: LintedRoute): boolean =>
  left.segments.length === right.segments.length &&
  left.segments.every((segment, index) => shapeOf(segment) === shapeOf(right.segments[index]))

const shapeOf = (segment: TemplateSegment | undefined): string => {
  if (segment === undefined) return ''
  if (segment.kind === 'literal') return `=${segment.text}`
  return segment.kind === 'pattern' ? `~${segment.pattern}` : segment.kind
}

/** Methods that both take; HEAD goes where GET does. */
export const sharedMethods = (left: LintedRoute, right: LintedRoute): readonly string[] | 'every' => {
  const mine = left.match.methods
  const theirs = right.match.methods
  if (mine === null) return theirs ?? 'every'
  return theirs === null ? mine : mine.filter((method) => theirs.includes(method))
}

/** `GET /accounts/{id}`, as a reader of the route map knows it. */
export const describeMatch = ({ match, host }: LintedRoute): string =>
  `${match.methods?.join(',') ?? '*'} ${match.path}${host === null ? '' : ` of ${host}`}`

export const quoted = ({ configured }: LintedRoute): string => JSON.stringify(configured.route.name)
