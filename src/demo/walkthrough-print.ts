import type { JsonObject, JsonValue } from '../core/json.ts'
import type { Answer } from './walkthrough-send.ts'
import type { Step } from './walkthrough-steps.ts'

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const

export type Paint = (colour: keyof typeof CODES, text: string) => string

/** @param colour false when the output is no terminal or `NO_COLOR` is set: then text stays as it is. */
export const createPaint =
  (colour: boolean): Paint =>
  (name, text) =>
    colour ? `\u001b[${CODES[name]}m${text}\u001b[0m` : text

/** What is shown of a decision record; all of it is in the log. */
const SHOWN = [
  'decision',
  'code',
  'source',
  'detail',
  'subject',
  'action',
  'resource',
  'context',
  'evaluations',
  'route',
  'policyVersion',
  'reasons',
  'latencyUs',
  'follows',
  'stream',
] as const

const MAX_BODY = 200
const MAX_VERSION = 19

const indent = (lines: readonly string[]): string => lines.map((line) => `    ${line}\n`).join('')

export const printRequest = ({ title, request }: Step, number: number, paint: Paint): string => {
  const carries = [
    ...(request.as === undefined ? [] : [`Authorization: Bearer <a token of ${request.as}>`]),
    ...(request.browser === undefined ? [] : [`Cookie: <whatever the browser of ${request.browser} has>`]),
    ...(request.webSocket === true ? ['Upgrade: websocket'] : []),
    ...(request.partner === true ? ['X-Api-Key: <the key of a partner>'] : []),
    ...Object.entries(request.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
    ...(request.json === undefined ? [] : [JSON.stringify(request.json)]),
  ]
  const revokes =
    request.thenRevoke === undefined
      ? []
      : [paint('cyan', `$ sallyport revoke --subject ${request.thenRevoke}`) + '  # while it runs']
  const lines = [
    paint('cyan', `> ${request.method} ${request.path}`),
    ...carries.map((line) => `> ${line}`),
    ...revokes,
  ]
  return `\n${paint('bold', `${String(number).padStart(2)}  ${title}`)}\n${indent(lines)}`
}

export const printAnswer = ({ status, reason, decisionId, body }: Answer, paint: Paint): string => {
  const text = textOf(body).trim().replace(/\s+/g, ' ')
  return indent([
    paint(status < 400 ? 'green' : 'yellow', `< ${status} ${reason}`.trimEnd()),
    `< Sallyport-Decision-Id: ${decisionId ?? '(none)'}`,
    ...(text === '' ? [] : [`< ${text.length > MAX_BODY ? `${text.slice(0, MAX_BODY)}…` : text}`]),
  ])
}

/** What a page says; anything else as it is. */
const textOf = (body: string): string =>
  body.startsWith('<!doctype html>') ? body.replace(/^.*<main>/s, '').replace(/<[^>]*>/g, ' ') : body

const showValue = (name: string, value: JsonValue): string => {
  const text = JSON.stringify(value)
  return name === 'policyVersion' && text.length > MAX_VERSION ? `${text.slice(0, MAX_VERSION)}…"` : text
}

export const printRecord = (
  record: JsonObject | null,
  paint: Paint,
  heading = 'the decision record says',
): string => {
  if (record === null) return indent([paint('red', 'there is no decision record')])
  const important = new Set<string>(['decision', 'reasons', 'source'])
  return indent([
    paint('dim', heading),
    ...SHOWN.flatMap((name) => {
      const value = record[name]
      if (value === undefined) return []
      const line = `  ${name.padEnd(13)} ${showValue(name, value)}`
      return [important.has(name) ? paint(record.decision === 'allow' ? 'green' : 'yellow', line) : line]
    }),
  ])
}

/** How long two steps took, one beside the other. */
export const printComparison = (
  before: { readonly decideUs: number | null; readonly tookMs: number },
  now: { readonly decideUs: number | null; readonly tookMs: number },
  paint: Paint,
): string => {
  const us = (value: number | null): string => (value === null ? 'unknown' : `${Math.round(value)} µs`)
  return indent([
    paint('cyan', `to decide: ${us(before.decideUs)} by the engine, ${us(now.decideUs)} by the grant`),
    paint('cyan', `in all:    ${before.tookMs.toFixed(1)} ms, then ${now.tookMs.toFixed(1)} ms`),
  ])
}

export const printVerdict = (surprises: readonly string[], paint: Paint): string =>
  surprises.length === 0
    ? indent([paint('green', 'as it should be')])
    : indent(surprises.map((surprise) => paint('red', `NOT as it should be: ${surprise}`)))
