import type { TemplateSegment } from '../../core/path-template.ts'
import type { RouteFound, RouteQuestion, RouteTable } from '../../gateway/accept/route-table.ts'
import type { LintedRoute } from './lintable.ts'

/** Segments that are tried where a template takes any: of several shapes, since a pattern may take some. */
const SAMPLES = ['x1', 'sample-value', '42', '0', 'a', 'A', '2026-01', '0193e0a4-0000-7000-8000-000000000000']
const TAILS = ['', 'x1', 'x1/sample-value', '42']
const MOST = 64

/** What became of a request that a route should take: the route that took it, or null when none does. */
export interface Taken {
  readonly question: Pick<RouteQuestion, 'method' | 'path' | 'host'>
  readonly by: RouteFound['route'] | null
}

/**
 * Sends requests that fit a route through the table that serves.
 *
 * @returns what became of each that the route did not get; null when it got one, or when no request is known that fits
 * its patterns.
 */
export const whoTakes = (table: RouteTable, route: LintedRoute): readonly Taken[] | null => {
  const paths = samplePaths(route.segments)
  const taken: Taken[] = []
  for (const path of paths) {
    for (const method of route.match.methods ?? ['GET', 'POST', 'DELETE']) {
      const question = questionOf(route, method, path)
      const found = table.find(question)
      if (found === null) taken.push({ question, by: null })
      else if ('ambiguous' in found) return null
      else if (found.route.index === route.configured.route.index) return null
      else taken.push({ question, by: found.route })
    }
  }
  return taken.length === 0 ? null : taken
}

const samplePaths = (segments: readonly TemplateSegment[]): readonly string[] => {
  let paths: readonly string[] = ['']
  for (const segment of segments) {
    const pieces = samplesOf(segment)
    paths = paths.flatMap((path) => pieces.map((piece) => `${path}/${piece}`)).slice(0, MOST)
  }
  return paths.map((path) => (path === '' ? '/' : path))
}

const samplesOf = (segment: TemplateSegment): readonly string[] => {
  switch (segment.kind) {
    case 'literal':
      return [encodeURIComponent(segment.text)]
    case 'name':
      return SAMPLES
    case 'pattern': {
      const whole = new RegExp(`^(?:${segment.pattern})$`, 'u')
      return SAMPLES.filter((sample) => whole.test(sample))
    }
    case 'rest':
      return TAILS
  }
}

const questionOf = ({ match, host }: LintedRoute, method: string, path: string): RouteQuestion => {
  const [name = 'any.example', port = '443'] = (host ?? 'any.example').split(/:(?=[0-9]+$)/)
  const headers = [...match.headers].flatMap(([key, wanted]) =>
    wanted === false ? [] : [key, wanted === true ? 'x' : wanted],
  )
  const query = [...match.query].flatMap(([key, wanted]) => {
    if (wanted === false) return []
    return [`${encodeURIComponent(key)}=${wanted === true ? 'x' : encodeURIComponent(wanted)}`]
  })
  return {
    method,
    host: name.startsWith('*.') ? `x1${name.slice(1)}` : name,
    port,
    path,
    headers,
    names: headers.filter((_, index) => index % 2 === 0),
    query: query.length === 0 ? '' : `?${query.join('&')}`,
  }
}
