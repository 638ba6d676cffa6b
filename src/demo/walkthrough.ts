import type { JsonObject, JsonValue } from '../core/json.ts'
import type { TokenMint } from './token-mint.ts'
import { type Browse, createBrowsers } from './walkthrough-browser.ts'
import {
  createPaint,
  type Paint,
  printAnswer,
  printComparison,
  printRecord,
  printRequest,
  printVerdict,
} from './walkthrough-print.ts'
import { type Answer, createAgent, headersOf, type Revoke, sendStep } from './walkthrough-send.ts'
import { STEPS, type Step, type StepExpectation } from './walkthrough-steps.ts'

export interface WalkthroughOptions {
  /** Of the gateway, such as `http://localhost:8080`. */
  readonly gatewayUrl: string
  readonly mint: TokenMint['mint']
  readonly partnerKey: string
  /** The decision record of an id; null when there is none. */
  readonly readRecord: (decisionId: string) => Promise<JsonObject | null>
  /** The record of how the answer ended that the decision of this id let through; waits for it. */
  readonly readEnd: (decisionId: string) => Promise<JsonObject | null>
  readonly revoke: Revoke
  readonly write: (text: string) => void
  readonly colour: boolean
  readonly signal: AbortSignal
  /** Default: all of them. */
  readonly steps?: readonly Step[]
}

interface Outcome {
  readonly answer: Answer
  readonly record: JsonObject | null
  /** Null for what was not ended. */
  readonly end: JsonObject | null
}

/**
 * Sends the steps one after the other and shows each request, its answer and its decision record.
 *
 * @returns true when every step went as it should. Throws when the gateway cannot be reached or `signal` aborts.
 */
export const runWalkthrough = async (options: WalkthroughOptions): Promise<boolean> => {
  const { write, steps = STEPS } = options
  const mint = keepTokens(options.mint)
  const paint = createPaint(options.colour)
  const agent = createAgent()
  const browse = createBrowsers(new URL(options.gatewayUrl))
  let previous: Outcome | null = null
  let wentWell = 0
  try {
    for (const [index, step] of steps.entries()) {
      write(printRequest(step, index + 1, paint))
      const outcome = await takeStep(step, { ...options, mint }, { agent, browse })
      write(printOutcome(step, outcome, previous, paint))
      if (findSurprises(step.expect, outcome).length === 0) wentWell += 1
      previous = outcome
    }
  } finally {
    agent.destroy()
  }
  const summary = `${wentWell} of ${steps.length} steps went as they should.`
  write(`\n${paint(wentWell === steps.length ? 'green' : 'red', summary)}\n`)
  return wentWell === steps.length
}

/** Like a signed-in person, who sends one token again and again: a grant is bound to the very credential. */
const keepTokens = (mint: TokenMint['mint']): TokenMint['mint'] => {
  const kept = new Map<string, ReturnType<TokenMint['mint']>>()
  return (name, options) => {
    const key = JSON.stringify([name, options?.mfa === true])
    const token = kept.get(key) ?? mint(name, options)
    kept.set(key, token)
    return token
  }
}

const takeStep = async (step: Step, options: WalkthroughOptions, by: Senders): Promise<Outcome> => {
  const answer = await answerTo(step, options, by)
  const { decisionId } = answer
  if (decisionId === null) return { answer, record: null, end: null }
  const record = await options.readRecord(decisionId)
  return { answer, record, end: step.expect.end === undefined ? null : await options.readEnd(decisionId) }
}

interface Senders {
  readonly agent: ReturnType<typeof createAgent>
  readonly browse: Browse
}

const answerTo = async (
  { request }: Step,
  options: WalkthroughOptions,
  { agent, browse }: Senders,
): Promise<Answer> => {
  const { as, mfa = false, browser } = request
  const { revoke, signal } = options
  if (browser !== undefined) return browse(browser, request, signal)
  const token = as === undefined ? null : await options.mint(as, { mfa })
  const headers = headersOf(request, { token, partnerKey: options.partnerKey })
  return sendStep(request, new URL(options.gatewayUrl), headers, { agent, revoke, signal })
}

const printOutcome = (step: Step, outcome: Outcome, previous: Outcome | null, paint: Paint): string => {
  const compared = step.besidePrevious === true && previous !== null
  return [
    printAnswer(outcome.answer, paint),
    printRecord(outcome.record, paint),
    step.expect.end === undefined ? '' : printRecord(outcome.end, paint, 'the record of the end says'),
    compared ? printComparison(timesOf(previous), timesOf(outcome), paint) : '',
    printVerdict(findSurprises(step.expect, outcome), paint),
  ].join('')
}

const isObject = (value: JsonValue | undefined): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const timesOf = ({
  answer,
  record,
}: Outcome): { readonly decideUs: number | null; readonly tookMs: number } => {
  const latency = record?.latencyUs
  const decideUs = isObject(latency) && typeof latency.decide === 'number' ? latency.decide : null
  return { decideUs, tookMs: answer.tookMs }
}

/** What differs from what a step expects, one line each. */
export const findSurprises = (
  expect: StepExpectation,
  { answer, record, end }: Outcome,
): readonly string[] => {
  const surprises: string[] = []
  const compare = (what: string, found: unknown, expected: unknown): void => {
    if (JSON.stringify(found) !== JSON.stringify(expected)) {
      surprises.push(`${what}: found ${JSON.stringify(found)}, expected ${JSON.stringify(expected)}`)
    }
  }
  compare('status', answer.status, expect.status)
  compare('decision', record?.decision, expect.decision)
  compare('code', record?.code, expect.code)
  if (expect.source !== undefined) compare('source', record?.source, expect.source)
  if (expect.reasons !== undefined) compare('reasons', record?.reasons ?? [], expect.reasons)
  if (expect.end !== undefined) {
    compare('code of the end', end?.code, expect.end.code)
    compare('reason of the end', isObject(end?.stream) ? end.stream.reason : undefined, expect.end.reason)
  }
  if (expect.answer !== undefined && !answer.body.includes(expect.answer)) {
    surprises.push(`answer: expected it to hold ${expect.answer}`)
  }
  if (expect.lacks !== undefined && answer.body.includes(expect.lacks)) {
    surprises.push(`answer: expected it not to hold ${expect.lacks}`)
  }
  return surprises
}
