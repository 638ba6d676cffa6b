import { z } from 'zod'
import type { Settings } from '../../core/settings.ts'

const EXPRESSION = 'a string that starts with `$` is a CEL expression, `$$` stands for a literal `$`'

const properties = () =>
  z.record(z.string(), z.json()).describe(`Attributes, by name; ${EXPRESSION}; default none.`)

const subject = () =>
  z
    .strictObject({ properties: properties() })
    .describe(
      'What the route adds to the subject, whose type and id are the authenticator’s; default nothing.',
    )

const action = () =>
  z
    .union([
      z.string(),
      z.strictObject({
        name: z.string().describe(`Name of the action; ${EXPRESSION}.`),
        properties: properties().optional(),
      }),
    ])
    .describe('What is done: `read`, short for `{ name: read }`.')

const resource = () =>
  z
    .strictObject({
      type: z.string().describe(`Kind of thing, such as \`Account\`; ${EXPRESSION}.`),
      id: z.string().describe(`Which one: a non-empty string; ${EXPRESSION}.`),
      properties: properties().optional(),
    })
    .describe('What it is done to.')

const context = () =>
  z
    .record(z.string(), z.json())
    .describe(`Everything else that the policy looks at; ${EXPRESSION}; default empty.`)

const evaluation = () =>
  z.strictObject({
    subject: subject().optional(),
    action: action(),
    resource: resource(),
    context: context().optional(),
  })

const part = () => ({
  subject: subject().optional(),
  action: action().optional(),
  resource: resource().optional(),
  context: context().optional(),
})

const evaluations = () =>
  z.strictObject({
    ...part(),
    evaluations: z
      .array(z.strictObject(part()))
      .min(1)
      .describe(
        'The questions, every one of which must be allowed. What one names replaces the whole default.',
      ),
  })

/**
 * What a route says of its mapping; to be spread into the schema of a route.
 *
 * @see https://openid.net/specs/authorization-api-1_0.html section 6 (evaluation) and 7 (evaluations)
 */
export const routeMappingFields = (_settings: Settings) => ({
  evaluation: evaluation()
    .optional()
    .describe('The question that is asked for a request. A protected route has this or `evaluations`.'),
  evaluations: evaluations()
    .optional()
    .describe('Several questions for one request; what stands beside the list is the default of its items.'),
  headers: z
    .record(z.string(), z.string())
    .optional()
    .describe(`Request headers that the application gets; ${EXPRESSION}; default none.`),
  rewrite: z
    .string()
    .optional()
    .describe(
      `Path, and query if it holds a \`?\`, that the application gets instead; ${EXPRESSION}; default as it came.`,
    ),
})

type Parsed<K extends keyof ReturnType<typeof routeMappingFields>> = z.infer<
  ReturnType<typeof routeMappingFields>[K]
>

export type EvaluationConfig = NonNullable<Parsed<'evaluation'>>
export type EvaluationsConfig = NonNullable<Parsed<'evaluations'>>
/** The entities that an item of `evaluations`, or its defaults, may have. */
export type EntitiesConfig = Omit<EvaluationsConfig, 'evaluations'>
