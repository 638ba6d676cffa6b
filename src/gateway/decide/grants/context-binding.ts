import type { AccessRequest } from '../../../core/access-request.ts'
import type { JsonObject, JsonValue } from '../../../core/json.ts'
import type { RevocationFeed } from '../revocations/feed.ts'
import type { GrantStore } from './store.ts'

/** Voids the grants of one subject and resource when something that they are bound to has changed. */
export interface ContextBinding {
  /** To be called with each request of a route that has `bindTo`, before its grant is looked for. */
  readonly seen: (id: string, requests: readonly AccessRequest[], bindTo: readonly string[]) => Seen
  /**
   * To be called when there was no grant for it here: others are told of its context, and what they gave in another one
   * ends. @param lifeMs the longest that its grant lives.
   */
  readonly missed: (seen: Seen, lifeMs: number) => void
}

/** The grants that were looked for while the context was the same. */
interface Bound {
  readonly values: string
  readonly grants: Set<string>
}

/** What was seen, and what ended by that. */
export interface Seen {
  /** One for each part of the context that the grant is bound to. */
  readonly parts: readonly { readonly about: string; readonly values: string }[]
  readonly grant: string
  readonly bindTo: readonly string[]
  readonly ended: ReadonlySet<string>
}

const MOST_KEPT = 100_000
const MOST_GRANTS = 64
const NONE: ReadonlySet<string> = new Set()

/**
 * Earlier grants end here at once, and everywhere by a mark of each: a request from another place, or by another device,
 * ends what the first one was given, also when that one comes back.
 *
 * What was given in the same context needs nobody else: others are asked only when there is no grant here, which is so
 * after each change that another one has seen, since that voids what is here.
 */
export const createContextBinding = (
  store: Pick<GrantStore, 'delete' | 'swapContext'>,
  publish: RevocationFeed['publish'] | undefined,
): ContextBinding => {
  const kept = new Map<string, Bound>()

  const end = (grant: string, bindTo: readonly string[]): void => {
    store.delete(grant)
    const reason = `the context has changed in one of ${bindTo.join(', ')}`
    // A mark that cannot be published is logged by the feed; here the grant has ended in any case.
    const draft = { kind: 'grant', target: grant, effect: 'grants', reason, by: 'gateway' } as const
    publish?.(draft, true).catch(() => undefined)
  }

  /** @returns the grants that are bound to other values. */
  const change = (about: string, values: string, grant: string): ReadonlySet<string> => {
    const before = kept.get(about)
    if (before !== undefined && before.values === values) {
      if (before.grants.size < MOST_GRANTS) before.grants.add(grant)
      return NONE
    }
    const [oldest] = kept.size < MOST_KEPT ? [] : kept.keys()
    if (oldest !== undefined) kept.delete(oldest)
    kept.set(about, { values, grants: new Set([grant]) })
    return before?.grants ?? NONE
  }

  return {
    seen: (grant, requests, bindTo) => {
      const whose = requests.map(({ subject: who, resource: what }) => [who.type, who.id, what.type, what.id])
      // Each part by itself: routes may bind to different ones, and what one of them sees concerns the other.
      const parts = bindTo.map((path) => ({
        about: JSON.stringify([path, whose]),
        values: JSON.stringify(requests.map(({ context }) => valueAt(context, path))),
      }))
      let ended = NONE
      for (const { about, values } of parts) {
        const gone = change(about, values, grant)
        if (gone.size > 0) ended = new Set([...ended, ...gone])
      }
      for (const one of ended) end(one, bindTo)
      return { parts, grant, bindTo, ended }
    },
    missed: ({ parts, grant, bindTo, ended }, lifeMs) => {
      const { swapContext } = store
      if (swapContext === undefined) return
      const swaps = parts.map(({ about, values }) => swapContext(about, values, grant, lifeMs))
      void Promise.all(swaps).then((others) => {
        for (const other of new Set(others.flat())) if (!ended.has(other)) end(other, bindTo)
      })
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
