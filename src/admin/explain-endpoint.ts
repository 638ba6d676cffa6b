import { isIP } from 'node:net'
import { z } from 'zod'
import type { JsonObject, JsonValue } from '../core/json.ts'
import { describedRequest } from '../gateway/explain-request.ts'
import type { AdminDeps } from './admin-deps.ts'
import { json, problem } from './answers.ts'
import type { AdminRequest, Endpoint } from './endpoint.ts'

const DEADLINE_MS = 10_000

const FIELD_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

const fieldValue = z.string().regex(FIELD_VALUE, { error: 'expected a header value' })
const isObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const QUESTION = z.strictObject({
  method: z.string().regex(FIELD_NAME, { error: 'expected a method such as GET' }),
  url: z.string({ error: 'expected a URL such as https://bank.example.com/accounts/42' }),
  headers: z
    .record(
      z.string().regex(FIELD_NAME, { error: 'expected a header name' }),
      z.union([fieldValue, z.array(fieldValue)], { error: 'expected a header value, or a list of them' }),
    )
    .default({}),
  claims: z.custom<JsonObject>(isObject, { error: 'expected an object, such as {"sub":"alice"}' }).optional(),
  /** Whose connection it comes by. */
  ip: z
    .string()
    .refine((text) => isIP(text) !== 0, { error: 'expected an IP address, such as 10.0.0.7' })
    .optional(),
  /** Text is sent as it is, anything else as JSON. */
  body: z.custom<JsonValue>(() => true).optional(),
})

const PAST = z.strictObject({ decision: z.string({ error: 'expected the id of a decision' }).max(200) })

type Deps = Pick<AdminDeps, 'explain' | 'explainPast' | 'archive'>

/** Takes a request the whole way by what runs now, without forwarding or recording it; or explains a past decision. */
export const explainEndpoint = ({ explain, explainPast, archive }: Deps): Endpoint => ({
  method: 'POST',
  path: '/v1/explain',
  permission: 'explain',
  handle: async ({ body, signal }: AdminRequest) => {
    if (isObject(body) && 'decision' in body) {
      const past = PAST.safeParse(body)
      if (!past.success) return problem(400, past.error.issues.map(tell).join('; '))
      const found = await archive.find(
        past.data.decision,
        AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]),
      )
      if (found === null) return problem(503, 'too many searches are under way, try again later')
      const [record] = found.decisions
      return record === undefined ? problem(404, 'no such decision was found') : json(explainPast(record))
    }
    const read = QUESTION.safeParse(body)
    if (!read.success) return problem(400, read.error.issues.map(tell).join('; '))
    const { method, url, headers, claims, ip } = read.data
    const ending = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)])
    const asked = describedRequest(
      {
        ...{ method, url, headers: pairsOf(headers), claims: claims ?? null, body: bytesOf(read.data.body) },
        ...(ip === undefined ? {} : { ip }),
      },
      ending,
    )
    return 'mistake' in asked ? problem(400, `url: ${asked.mistake}`) : json(await explain(asked))
  },
})

const tell = ({ path, message }: z.core.$ZodIssue): string =>
  path.length === 0 ? message : `${path.join('.')}: ${message}`

const pairsOf = (headers: Readonly<Record<string, string | readonly string[]>>): readonly string[] =>
  Object.entries(headers).flatMap(([name, values]) =>
    (typeof values === 'string' ? [values] : values).flatMap((value) => [name, value]),
  )

const bytesOf = (body: JsonValue | undefined): Buffer | null => {
  if (body === undefined) return null
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}
