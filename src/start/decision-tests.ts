import type { Configuration } from '../config/configuration.ts'
import type { DecisionTest } from '../config/decision-tests/read.ts'
import type { TestRequest } from '../config/decision-tests/schema.ts'
import type { Clock } from '../core/clock.ts'
import type { JsonObject } from '../core/json.ts'
import type { Finding } from '../core/problem.ts'
import type { Explanation } from '../gateway/explain.ts'
import { type AskedRequest, describedRequest } from '../gateway/explain-request.ts'
import { differences } from './decision-diff.ts'

/** What became of one test. */
export interface TestResult {
  readonly test: DecisionTest
  /** Null when the request could not be made from its description. */
  readonly explained: Explanation | null
  /** Empty: it passed. */
  readonly findings: readonly Finding[]
}

/** What tests went by, of what there is. */
export interface Coverage {
  readonly routes: { readonly total: number; readonly missed: readonly MissedRoute[] }
  readonly policies: { readonly total: number; readonly missed: readonly MissedPolicy[] }
}

interface MissedRoute {
  readonly name: string
  readonly file: string
  readonly line: number
}

interface MissedPolicy {
  readonly engine: string
  readonly id: string
}

/** A request of a test may wait so long for an engine that is elsewhere. */
const DEADLINE_MS = 10_000

/** A clock that a test can set. */
export interface TestClock extends Clock {
  /** @param ms since the epoch; null: it goes by the one behind it. */
  readonly set: (ms: number | null) => void
}

export const createTestClock = (behind: Clock): TestClock => {
  let set: number | null = null
  return {
    nowMs: () => set ?? behind.nowMs(),
    monotonicUs: behind.monotonicUs,
    set: (ms) => {
      set = ms
    },
  }
}

/**
 * Runs decision tests, one after the other.
 *
 * @param clock what `explain` goes by; set for tests that say when their request comes.
 */
export const runDecisionTests = async (
  tests: readonly DecisionTest[],
  explain: (asked: AskedRequest) => Promise<Explanation>,
  clock: TestClock | null,
): Promise<readonly TestResult[]> => {
  const results: TestResult[] = []
  for (const test of tests) {
    clock?.set(test.request.time === undefined ? null : Date.parse(test.request.time))
    results.push(await runTest(test, explain))
  }
  clock?.set(null)
  return results
}

const runTest = async (
  test: DecisionTest,
  explain: (asked: AskedRequest) => Promise<Explanation>,
): Promise<TestResult> => {
  const asked = askedBy(test.request, AbortSignal.timeout(DEADLINE_MS))
  if ('mistake' in asked) return { test, explained: null, findings: [finding(test, 'url', asked.mistake)] }
  const explained = await explain(asked)
  const found = differences(test.expect, explained)
  return { test, explained, findings: found.map(({ key, message }) => finding(test, key, message)) }
}

const finding = ({ name, file, line, column, places }: DecisionTest, key: string, what: string): Finding => ({
  severity: 'error',
  rule: 'decision-test',
  file,
  line: places.get(key)?.line ?? line,
  column: places.get(key)?.column ?? column,
  message: `${name}: ${what}`,
})

const askedBy = (request: DecisionTest['request'], signal: AbortSignal) => {
  const { method = 'GET', url, claims, subject, authenticator, ip } = request
  return describedRequest(
    {
      method,
      url,
      headers: headerPairs(request.headers),
      body: bodyOf(request.body),
      // JSON, as YAML's core schema has no other values.
      claims: claims === undefined ? null : (claims as JsonObject),
      ...(subject === undefined ? {} : { subject: subjectOf(subject) }),
      ...(authenticator === undefined ? {} : { authenticator }),
      ...(ip === undefined ? {} : { ip }),
    },
    signal,
  )
}

const subjectOf = ({ type, id, properties }: NonNullable<TestRequest['subject']>) => ({
  type,
  id,
  ...(properties === undefined ? {} : { properties: properties as JsonObject }),
})

const headerPairs = (headers: TestRequest['headers'] = {}): readonly string[] =>
  Object.entries(headers).flatMap(([name, values]) =>
    (typeof values === 'string' ? [values] : values).flatMap((value) => [
      name,
      // As Node would read the bytes of UTF-8 text off a connection.
      Buffer.from(value, 'utf8').toString('latin1'),
    ]),
  )

const bodyOf = (body: TestRequest['body']): Buffer | null => {
  if (body === undefined) return null
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}

/** Which routes no test came to, and which policies determined no decision. */
export const coverageOf = (
  { routes }: Pick<Configuration, 'routes'>,
  policyIds: ReadonlyMap<string, readonly string[]>,
  results: readonly TestResult[],
): Coverage => {
  const seen = new Set(results.flatMap(({ explained }) => explained?.route ?? []))
  const determined = new Set(
    results.flatMap(({ explained }) =>
      [...(explained?.reasons ?? []), ...(explained?.evaluations ?? []).flatMap((each) => each.reasons)].map(
        (id) => JSON.stringify([explained?.engine, id]),
      ),
    ),
  )
  const policies = [...policyIds].flatMap(([engine, ids]) => ids.map((id) => ({ engine, id })))
  return {
    routes: {
      total: routes.length,
      missed: routes
        .filter(({ route }) => !seen.has(route.name))
        .map(({ route, file, line }) => ({ name: route.name, file, line })),
    },
    policies: {
      total: policies.length,
      missed: policies.filter(({ engine, id }) => !determined.has(JSON.stringify([engine, id]))),
    },
  }
}
