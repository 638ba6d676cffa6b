import { below } from '../parse-part.ts'
import type { GatewayFile } from '../read-gateway.ts'

/** Reports sessions that are to be shared where nothing is. */
export const checkSharedSessions = ({ authenticators, grants }: GatewayFile): void => {
  if (grants === null || grants.store !== 'memory') return
  for (const { part, value } of authenticators.values()) {
    if (value.type !== 'oidc' || !keepsInRedis(value)) continue
    const message = 'found redis, expected cookie, or a Redis as grants.store, where they are then kept'
    below(part.source, part.path)({ path: ['session', 'store'], rule: 'shared-sessions', message })
  }
}

/** An entry was parsed by the schema of its kind, which the table of kinds cannot tell. */
const keepsInRedis = (entry: object): boolean => {
  const session: unknown = Reflect.get(entry, 'session')
  return typeof session === 'object' && session !== null && Reflect.get(session, 'store') === 'redis'
}
