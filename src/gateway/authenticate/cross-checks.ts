import type { Carrier } from '../../core/carrier.ts'
import type { Problem } from '../../core/problem.ts'
import type { Description } from './authenticator.ts'
import { carrierLabel } from './carriers.ts'

export interface Described {
  readonly name: string
  readonly description: Description
}

/** A mistake that shows only beside the other authenticators; `authenticator` is the entry to place it at. */
export interface CrossProblem {
  readonly authenticator: string
  readonly problem: Problem
}

/** Finds the authenticators that would take the same credential; each is reported once, against the first such. */
export const findOverlaps = (described: readonly Described[]): readonly CrossProblem[] =>
  pairs(described).flatMap(([earlier, later]) => {
    const { carrier } = later.description
    if (!sameCarrier(earlier.description.carrier, carrier)) return []
    if (!mayMeet(earlier.description.selector, later.description.selector)) return []
    const message =
      `takes the same credentials as "${earlier.name}" (${carrierLabel(carrier)}${facetsOf(later)}); ` +
      'a credential must belong to exactly one authenticator'
    return [report(later, 'overlapping-credentials', message)]
  })

/**
 * Finds the authenticators whose subjects could be taken for each other's.
 *
 * A person who signs in at a provider is the same one who brings a token of that provider, where both are named alike.
 */
export const findCollisions = (described: readonly Described[]): readonly CrossProblem[] =>
  pairs(described).flatMap(([earlier, later]) => {
    const types = commonTypes(earlier.description.subjectTypes, later.description.subjectTypes)
    if (types === 'none' || areApart(earlier.description.prefix, later.description.prefix)) return []
    if (areSamePeople(earlier.description, later.description)) return []
    const message =
      `makes subjects of ${types} that cannot be told from those of "${earlier.name}"; ` +
      `give one of the two another "prefix", such as "prefix: ${later.name}|"`
    return [report(later, 'colliding-subjects', message)]
  })

/**
 * True when the ids under one prefix are kept apart from those under the other.
 *
 * An empty prefix is apart from any other, because `createAuthenticate` refuses an id that starts with
 * a prefix which is kept for another authenticator.
 */
const areApart = (one: string, other: string): boolean => {
  if (one === other) return false
  if (one === '' || other === '') return true
  return !one.startsWith(other) && !other.startsWith(one)
}

/** Only a session beside a token: two kinds of tokens are seldom given to the same callers. */
const areSamePeople = (one: Description, other: Description): boolean =>
  one.people !== undefined &&
  one.people === other.people &&
  (one.carrier.kind === 'session') !== (other.carrier.kind === 'session')

const pairs = (described: readonly Described[]): readonly (readonly [Described, Described])[] =>
  described.flatMap((later, index) => described.slice(0, index).map((earlier) => [earlier, later] as const))

const report = (at: Described, rule: string, message: string): CrossProblem => ({
  authenticator: at.name,
  problem: { path: [], rule, message },
})

const sameCarrier = (one: Carrier, other: Carrier): boolean => carrierLabel(one) === carrierLabel(other)

const mayMeet = (one: Description['selector'], other: Description['selector']): boolean =>
  Object.entries(one).every(
    ([facet, value]) => !Object.hasOwn(other, facet) || Object.is(other[facet], value),
  )

const facetsOf = ({ description }: Described): string =>
  Object.entries(description.selector)
    .map(([facet, value]) => `, ${facet} ${value}`)
    .join('')

const commonTypes = (one: Description['subjectTypes'], other: Description['subjectTypes']): string => {
  if (one === null || other === null) return 'any type'
  const common = one.filter((type) => other.includes(type))
  return common.length === 0 ? 'none' : `type ${common.map((type) => `"${type}"`).join(', ')}`
}
