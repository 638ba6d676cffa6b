import { child, type Part } from '../parse-part.ts'
import { placeOf } from '../place.ts'
import type { RouteMap } from '../read-route-maps.ts'

/** Names of routes that the gateway has itself. */
const RESERVED: ReadonlySet<string> = new Set(['sallyport-jwks'])

/** Reports a route's name that another route has, in the same file or another one. */
export const checkRouteNames = (maps: readonly RouteMap[]): void => {
  const first = new Map<string, Part>()
  for (const part of maps.flatMap((map) => map.routes.map((route) => child(route.part, 'name')))) {
    const { source, path, value } = part
    if (typeof value !== 'string') continue
    const name = JSON.stringify(value)
    const other = first.get(value)
    if (other !== undefined) {
      const message = `found the route name ${name} a second time, expected it once; the first is at ${placeOf(other, source.file)}`
      source.report({ path, rule: 'duplicate-route-name', message })
    } else if (RESERVED.has(value)) {
      source.report({
        path,
        rule: 'reserved-name',
        message: `found the route name ${name}, which is Sallyport's own`,
      })
    }
    if (other === undefined) first.set(value, part)
  }
}
