import type { Preparation } from '../core/settings.ts'

/** Something that several configurations may be using. */
export interface Hold<T> {
  readonly value: T
  /** To be called once. After the last one it is closed. */
  readonly release: () => void
}

/** What lives on through edits that do not concern it. */
export interface Instances<T> {
  /** The one that goes by this key, made when there is none. */
  readonly take: (key: string, create: () => T) => Hold<T>
}

interface Held<T> {
  readonly value: T
  holders: number
}

/** @param close called when nobody holds an instance any more; must not throw. */
export const createInstances = <T>(close: (value: T) => void): Instances<T> => {
  const byKey = new Map<string, Held<T>>()
  return {
    take: (key, create) => {
      const held = byKey.get(key) ?? { value: create(), holders: 0 }
      byKey.set(key, held)
      held.holders += 1
      return {
        value: held.value,
        release: () => {
          held.holders -= 1
          if (held.holders > 0) return
          byKey.delete(key)
          close(held.value)
        },
      }
    },
  }
}

/** What parts of entries share with their successors; see `Preparation`. */
export const createShare = (): Preparation['share'] => {
  const instances = createInstances<{ readonly close: () => void }>((value) => value.close())
  return <T extends { readonly close: () => void }>(key: string, create: () => T) =>
    // A key stands for one kind of thing, which the map of all of them cannot know.
    instances.take(key, create) as Hold<T>
}
