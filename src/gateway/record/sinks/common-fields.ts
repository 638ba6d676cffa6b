import { z } from 'zod'
import { REFUSALS, type RefusalCode } from '../../../core/refusals.ts'
import type { Preparation, Settings } from '../../../core/settings.ts'
import { opaEvent } from '../opa-event.ts'
import type { GuardOptions } from './guard-sink.ts'
import { createFilter } from './record-filter.ts'
import { createRedaction, parseRedactPath, type RedactPath } from './redaction.ts'

// The keys of the table are the codes, which Object.keys cannot say.
const CODES = ['allowed', 'ended', ...(Object.keys(REFUSALS) as RefusalCode[])] as const

/** The keys that every kind of sink has. */
export const commonFields = (s: Settings) => ({
  required: z
    .boolean()
    .default(true)
    .describe(
      'Refuse requests whose record this sink cannot take; false drops and counts such records, default true',
    ),
  filter: z
    .strictObject({
      decisions: z
        .array(z.enum(['allow', 'deny']))
        .min(1)
        .optional()
        .describe('Only records with one of these decisions, default both'),
      codes: z
        .array(z.enum(CODES))
        .min(1)
        .optional()
        .describe('Only records with one of these codes, such as denied, default all'),
      routes: z
        .array(z.string())
        .min(1)
        .optional()
        .describe('Only records of routes with these names, default all, and those without a route'),
    })
    .optional()
    .describe('Which records this sink gets: those that every list here names, default all'),
  shape: z
    .enum(['sallyport', 'opa'])
    .default('sallyport')
    .describe(
      "How a record is written: sallyport, or opa for collectors of OPA's decision log, which search, explain and replay cannot read; default sallyport",
    ),
  redact: z
    .array(z.string())
    .default([])
    .describe(
      'Values to replace by a keyed hash, by their place in the record: context.ssn, inputs."body.ssn", default none',
    ),
  redactKey: s
    .secret()
    .optional()
    .describe('The key of these hashes, 16 characters at least; needed by redact, default none'),
})

export type CommonConfig = z.output<z.ZodObject<ReturnType<typeof commonFields>>>

/** A shorter key could be found by trying. */
const LEAST_KEY_LENGTH = 16

/** Checks what the fields say together, and reports what is wrong. */
export const prepareCommon = (config: CommonConfig, preparation: Preparation): GuardOptions => {
  const { required, filter, redact, redactKey, shape } = config
  const { clock, log, report } = preparation
  const paths = redact.flatMap((text, index): RedactPath[] => {
    const path = parseRedactPath(text)
    if (!('problem' in path)) return [path]
    report({ path: ['redact', index], rule: 'redact-path', message: path.problem })
    return []
  })
  const key = redactKey?.reveal() ?? ''
  if (redact.length > 0 && redactKey === undefined) {
    const message =
      'found redact without redactKey, expected the key of the hashes: { env: NAME } or { file: path }'
    report({ path: ['redact'], rule: 'redact-key', message, atKey: true })
  } else if (redactKey !== undefined && key.length < LEAST_KEY_LENGTH) {
    const message = `found a key that could be guessed, expected ${LEAST_KEY_LENGTH} characters at least`
    report({ path: ['redactKey'], rule: 'redact-key', message })
  }
  return {
    required,
    accepts: filter === undefined ? null : createFilter(filter),
    redact: paths.length === 0 ? null : createRedaction(paths, key),
    reshape: shape === 'opa' ? opaEvent : null,
    clock,
    log,
  }
}
