import { z } from 'zod'
import { label } from '../names.ts'

const partial = (what: string, fields: Readonly<Record<string, z.ZodType>>) =>
  z.strictObject(fields).partial().describe(`${what}; what is not named here is not compared`)

const entityType = () => z.string().min(1).describe('Its type, such as Account')
const entityId = () => z.string().min(1).describe('Which one')
const name = () => z.string().describe('Its name')

const properties = () => z.record(z.string(), z.json()).describe('Attributes, by name')

const request = () =>
  z.strictObject({
    method: z.string().min(1).optional().describe('Method, default GET'),
    url: z
      .string()
      .min(1)
      .optional()
      .describe('Absolute, as a client would send it, such as https://bank.example.com/accounts/42'),
    headers: z
      .record(z.string().min(1), z.union([z.string(), z.array(z.string())]))
      .optional()
      .describe('Request headers; a list sends a header more than once; default none'),
    claims: z
      .record(z.string(), z.json())
      .optional()
      .describe('Claims to take as verified, instead of a credential'),
    subject: z
      .strictObject({
        type: entityType(),
        id: entityId(),
        properties: properties().optional(),
      })
      .optional()
      .describe('Who acts, in place of what an authenticator would make of the claims'),
    authenticator: z
      .string()
      .min(1)
      .optional()
      .describe('Which authenticator takes the claims; default the first of the route that maps claims'),
    ip: z
      .string()
      .min(1)
      .optional()
      .describe('Whose connection it comes by, the caller or a proxy of trustedProxies, default 127.0.0.1'),
    time: z.iso
      .datetime({ offset: true })
      .optional()
      .describe('When it comes, such as 2026-12-01T08:00:00Z; default now'),
    body: z.json().optional().describe('Text is sent as it is, anything else as JSON; default none'),
  })

const action = () =>
  z
    .union([z.string(), z.strictObject({ name: name().optional(), properties: properties().optional() })])
    .describe('`read` is short for `{ name: read }`')

const resource = () =>
  partial('What it is done to', { type: entityType(), id: entityId(), properties: properties() })

const verdict = () => z.enum(['allow', 'deny'])
const reasons = () =>
  z.array(z.string()).describe('Ids of the determining policies, all of them, in any order')
const context = () =>
  z.record(z.string(), z.json()).describe('What the policy looks at besides; keys not named are not compared')

const expected = () =>
  z.strictObject({
    decision: verdict().optional().describe('allow or deny'),
    code: z.string().optional().describe('allowed, denied, or the code of the refusal, such as bad_request'),
    status: z
      .int()
      .nullable()
      .optional()
      .describe('Status of the refusal; 200 of an allow, where the application gives its own'),
    route: z.string().nullable().optional().describe('Name of the route; null: none'),
    owner: z.string().optional().describe('Owner of the route'),
    source: z.string().optional().describe('engine, route, or the stage that refused'),
    engine: z.string().nullable().optional().describe('Engine that was asked; null: none'),
    subject: partial('Who acts', {
      type: entityType(),
      id: entityId(),
      properties: properties(),
    }).optional(),
    action: action().optional(),
    resource: resource().optional(),
    context: context().optional(),
    evaluations: z
      .array(
        z.strictObject({
          action: action().optional(),
          resource: resource().optional(),
          context: context().optional(),
          decision: verdict().optional().describe('allow or deny'),
          reasons: reasons().optional(),
        }),
      )
      .optional()
      .describe('The questions of a route that asks several, in order, all of them'),
    reasons: reasons().optional(),
    upstream: partial('Where it would be forwarded to', {
      name: name(),
      target: z.string().describe('Path and query as the application would get them'),
    }).optional(),
  })

const row = () =>
  z.strictObject({
    name: label().optional().describe('Name of the row, default its number'),
    request: request().optional().describe('What differs from the request of the test'),
    expect: expected().optional().describe('What differs from the expectation of the test'),
  })

/** One test, or one table of tests. */
export const decisionTestSchema = () =>
  z.strictObject({
    name: label().describe('What should be so, as a sentence'),
    request: request().optional().describe('The request; rows may add to it'),
    expect: expected().optional().describe('What must come of it; rows may add to it'),
    columns: z
      .array(z.string().min(1))
      .min(1)
      .optional()
      .describe('What the cells of each row are, such as claims.sub, decision or expect.subject.id'),
    rows: z
      .array(z.union([z.array(z.json()), row()]))
      .min(1)
      .optional()
      .describe('The test once a row: a list of cells where there are columns, else { request, expect }'),
  })

/** A request and an expectation with all that rows add to them. */
export const wholeTestSchema = () => z.strictObject({ request: request(), expect: expected() })

/** A whole file of decision tests. */
export const decisionTestsSchema = () =>
  z.strictObject({ tests: z.array(decisionTestSchema()).describe('The tests, in any order') })

export type TestEntry = z.infer<ReturnType<typeof decisionTestSchema>>
type Whole = z.infer<ReturnType<typeof wholeTestSchema>>
export type TestRequest = Whole['request']
export type Expected = Whole['expect']

export const REQUEST_KEYS: ReadonlySet<string> = new Set(Object.keys(request().shape))
export const EXPECTED_KEYS: ReadonlySet<string> = new Set(Object.keys(expected().shape))
