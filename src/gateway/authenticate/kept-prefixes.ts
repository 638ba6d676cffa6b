import type { Authenticator } from './authenticator.ts'

/** Ids that start so belong to another authenticator. */
export interface PrefixOwner {
  readonly owner: string
  /** Null: whatever the type. */
  readonly type: string | null
  readonly prefix: string
}

/**
 * The prefixes that keep the subjects of others apart from those of this authenticator.
 *
 * Without this, an issuer could name its user `partner|alice` and be taken for the partner's alice.
 */
export const keptForOthers = (
  of: Authenticator,
  authenticators: ReadonlyMap<string, Authenticator>,
): readonly PrefixOwner[] =>
  [...authenticators.values()].flatMap(({ name, description }) => {
    const { prefix, subjectTypes } = description
    if (name === of.name || prefix === '' || of.description.prefix.startsWith(prefix)) return []
    return (subjectTypes ?? [null]).map((type) => ({ owner: name, type, prefix }))
  })
