import type { Subject } from '../../core/access-request.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../../core/json.ts'

/** Longer chains are not taken: nobody could say who is answerable. */
export const MOST_ACTORS = 8

/** What is kept of an actor: what names it. */
const NAMING = ['sub', 'iss', 'client_id'] as const

/**
 * Reads who acts for the subject, from the `act` claim.
 *
 * @returns the present actor first, then those that it acts for; empty when the subject acts itself; a string
 *   when the chain is broken or longer than `MOST_ACTORS`: then the token must be refused.
 * @see https://www.rfc-editor.org/rfc/rfc8693#section-4.1
 */
export const actorsOf = ({ act }: JsonObject): readonly JsonObject[] | string => {
  const actors: JsonObject[] = []
  let next: JsonValue | undefined = act
  while (next !== undefined) {
    if (actors.length === MOST_ACTORS) return `the chain of actors is longer than ${MOST_ACTORS}`
    if (!isJsonObject(next)) return 'act is not an object'
    const actor: Record<string, JsonValue> = {}
    if (typeof next.sub !== 'string' || next.sub === '') return 'an actor has no sub'
    for (const name of NAMING) {
      const value = next[name]
      if (value === undefined) continue
      if (typeof value !== 'string') return `the ${name} of an actor is not a string`
      actor[name] = value
    }
    actors.push(actor)
    next = next.act
  }
  return actors
}

/** The subject with `properties.actors`, unless it acts itself. */
export const withActors = (subject: Subject, actors: readonly JsonObject[]): Subject =>
  actors.length === 0 ? subject : { ...subject, properties: { ...subject.properties, actors } }
