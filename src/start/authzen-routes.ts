import type { Configuration } from '../config/configuration.ts'
import { askedEngines, type Route } from '../core/route.ts'
import type { AcceptListener } from '../gateway/accept/doors.ts'

/**
 * What stands for a route where questions come by AuthZEN, one for each such listener; their places follow those of the
 * configured routes.
 */
export const authzenRoutes = ({ listeners, routes, baseline }: Configuration): readonly Route[] =>
  listeners
    .filter(({ speaks }) => speaks === 'authzen')
    .map(({ id, engine = null, authenticate = [] }, position) => ({
      index: routes.length + position,
      name: `authzen ${id}`,
      owner: 'sallyport',
      access: 'protected',
      mode: 'enforce',
      authenticate,
      ...askedEngines([baseline, engine]),
      upstream: '',
    }))

/** By id, each with what is asked there. */
export const acceptListeners = (configuration: Configuration): ReadonlyMap<string, AcceptListener> => {
  const routes = authzenRoutes(configuration)
  return new Map(
    configuration.listeners.map((listener) => {
      const authzen = routes.find(({ name }) => name === `authzen ${listener.id}`) ?? null
      return [listener.id, { ...listener, authzen }]
    }),
  )
}
