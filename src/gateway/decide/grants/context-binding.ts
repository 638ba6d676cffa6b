import type { AccessRequest } from '../../../core/access-request.ts'
import type { JsonObject, JsonValue } from '../../../core/json.ts'
import type { RevocationFeed } from '../revocations/feed.ts'
import type { GrantStore } from './store.ts'

/** Voids the grants of one subject and resource when something that they are bound to has changed. */
export interface ContextBinding {
  /** To be called with each request of a route that has `bindTo`, before its grant is looked for. */
  readonly seen: (id: string, requests: readonly AccessRequest[], bindTo: readonly string[]) => void
}

/** The grants that were looked for while the context was the same. */
interface Bound {
  readonly values: string
  readonly grants: Set<string>
}

const MOST_KEPT = 100_000
const MOST_GRANTS = 64

/**
 * Of this process. Earlier grants end here at once, and everywhere by a mark of each: a request from another place, or
 * by another device, ends what the first one was given, also when that one comes back.
 */
export const createContextBinding = (
  store: Pick<GrantStore, 'delete'>,
  publish: RevocationFeed['publish'] | undefined,
): ContextBinding => {
  const kept = new Map<string, Bound>()

  const end = (grant: string, bindTo: readonly string[]): void => {
    store.delete(grant)
    const reason = `the context has changed in one of ${bindTo.join(', ')}`
    // A mark that cannot be published is logged by the feed; here the grant has ended in any case.
    publish?.({ kind: 'grant', target: grant, effect: 'grants', reason, by: 'gateway' }).catch(
      () => undefined,
    )
  }

  return {
    seen: (id, requests, bindTo) => {
      const key = JSON.stringify(
        requests.map(({ subject, resource }) => [subject.type, subject.id, resource.type, resource.id]),
      )
      const values = JSON.stringify(
        requests.map(({ context }) => bindTo.map((path) => valueAt(context, path))),
      )
      const before = kept.get(key)
      if (before !== undefined && before.values === values) {
        if (before.grants.size < MOST_GRANTS) before.grants.add(id)
        return
      }
      for (const grant of before?.grants ?? []) end(grant, bindTo)
      const [oldest] = kept.size < MOST_KEPT ? [] : kept.keys()
      if (oldest !== undefined) kept.delete(oldest)
      kept.set(key, { values, grants: new Set([id]) })
    },
  }
}

/** @param path such as `context.device.id`; null: nothing is there. */
const valueAt = (context: JsonObject, path: string): JsonValue => {
  let value: JsonValue = context
  for (const name of path.split('.').slice(1)) value = memberOf(value, name)
  return value
}

const memberOf = (value: JsonValue, name: string): JsonValue => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null
  // What is no array is an object; TypeScript does not tell readonly arrays from objects.
  return Object.hasOwn(value, name) ? ((value as JsonObject)[name] ?? null) : null
}
