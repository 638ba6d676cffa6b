import type { Endpoint } from './endpoint.ts'

/** What is at a path. */
export interface Found {
  /** Null: not by this method. */
  readonly endpoint: Endpoint | null
  /** What the path has in place of `{…}`, decoded; empty when its template has none. */
  readonly parameter: string
  /** What there is at this path. */
  readonly methods: readonly string[]
  /** True when something at this path needs no token. */
  readonly isOpen: boolean
}

/** Null when nothing is at this path. HEAD is answered as GET. */
export type Router = (method: string, path: string) => Found | null

interface Place {
  readonly path: string
  readonly segments: readonly string[]
  readonly endpoints: readonly Endpoint[]
}

const PARAMETER = /^\{[a-z]+\}$/

/** Finds endpoints by their path, of which one segment may be a parameter; a literal path goes first. */
export const createRouter = (endpoints: readonly Endpoint[]): Router => {
  const places = placesOf(endpoints)
  return (method, path) => {
    const wanted = method === 'HEAD' ? 'GET' : method
    const segments = path.split('/')
    for (const place of places) {
      const parameter = match(place.segments, segments)
      if (parameter === null) continue
      return {
        endpoint: place.endpoints.find((endpoint) => endpoint.method === wanted) ?? null,
        parameter,
        methods: place.endpoints.map((endpoint) => endpoint.method),
        isOpen: place.endpoints.some(({ permission }) => permission === null),
      }
    }
    return null
  }
}

const placesOf = (endpoints: readonly Endpoint[]): readonly Place[] => {
  const paths = [...new Set(endpoints.map(({ path }) => path))]
  return paths
    .map((path) => ({
      path,
      segments: path.split('/'),
      endpoints: endpoints.filter((endpoint) => endpoint.path === path),
    }))
    .sort((left, right) => Number(left.path.includes('{')) - Number(right.path.includes('{')))
}

/** The parameter when the path fits the template; else null. */
const match = (template: readonly string[], segments: readonly string[]): string | null => {
  if (template.length !== segments.length) return null
  let parameter = ''
  for (const [index, expected] of template.entries()) {
    const segment = segments[index] ?? ''
    if (!PARAMETER.test(expected)) {
      if (segment !== expected) return null
      continue
    }
    parameter = decoded(segment)
    if (parameter === '') return null
  }
  return parameter
}

const decoded = (segment: string): string => {
  try {
    return decodeURIComponent(segment)
  } catch {
    return ''
  }
}
