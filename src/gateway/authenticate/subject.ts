import { z } from 'zod'
import type { Subject } from '../../core/access-request.ts'
import type { JsonObject, JsonValue } from '../../core/json.ts'
import { isRefusal, type Refusal, refuse } from '../../core/refusals.ts'
import type { Preparation } from '../../core/settings.ts'

/** How verified claims become a subject; a template in which `$` starts an expression. */
export const subjectConfig = (defaults: { readonly type: string; readonly id: string }) =>
  z
    .strictObject({
      type: z
        .string()
        .min(1)
        .default(defaults.type)
        .describe(
          `Type of the subject; a string that starts with $ is an expression; default ${defaults.type}.`,
        ),
      id: z
        .string()
        .min(1)
        .default(defaults.id)
        .describe(`Id of the subject; a string that starts with $ is an expression; default ${defaults.id}.`),
      properties: z
        .record(z.string(), z.json())
        .optional()
        .describe('Properties of the subject, such as { groups: $claims.?groups }; default none.'),
    })
    .describe(`How the claims become the subject, default { type: ${defaults.type}, id: ${defaults.id} }.`)

export type SubjectConfig = z.infer<ReturnType<typeof subjectConfig>>

export const prefixField = () =>
  z
    .string()
    .min(1)
    .optional()
    .describe('Put before every subject id, to tell it from those of other authenticators; default none.')

/** The type that a template always gives, or null when it is an expression. */
export const literalType = (template: string): string | null => {
  if (!template.startsWith('$')) return template
  return template.startsWith('$$') ? template.slice(1) : null
}

/** For `Description.people`, where the claims are those of one issuer. */
export const peopleOf = (issuer: string, { type, id }: SubjectConfig, prefix: string): string =>
  JSON.stringify([issuer, type, id, prefix])

export type ToSubject = (claims: JsonObject) => Subject | Refusal

/**
 * Compiles the mapping from claims to a subject; its mistakes are reported at `subject`.
 *
 * @returns a function that refuses with `denied` when a claim is missing or the result is no subject.
 */
export const compileSubject = (
  authenticator: string,
  config: SubjectConfig,
  prefix: string,
  preparation: Preparation,
): ToSubject => {
  const { type, id, properties } = config
  const template: JsonObject = properties === undefined ? { type, id } : { type, id, properties }
  const mapped = preparation.compileClaims(template, ['subject'])
  return (claims) => {
    const made = mapped(claims)
    return isRefusal(made) ? made : toSubject(authenticator, made, prefix)
  }
}

const toSubject = (authenticator: string, made: JsonObject, prefix: string): Subject | Refusal => {
  const { type, id, properties } = made
  if (!isName(type)) return notASubject(authenticator, 'type')
  if (!isName(id)) return notASubject(authenticator, 'id')
  const subject = { type, id: prefix + id }
  if (properties === undefined) return subject
  if (!isObject(properties)) return notASubject(authenticator, 'properties')
  // All of them may be optional, and absent: then there is nothing to send to an engine.
  return Object.keys(properties).length === 0 ? subject : { ...subject, properties }
}

const isName = (value: JsonValue | undefined): value is string =>
  typeof value === 'string' && value !== '' && !value.includes('\0')

const isObject = (value: JsonValue): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const notASubject = (authenticator: string, member: string): Refusal =>
  refuse(
    'authenticate',
    'denied',
    `${authenticator}: subject.${member} does not come out as ${member === 'properties' ? 'an object' : 'a non-empty string'}`,
  )
