import type { JsonObject } from '../../../src/core/json.ts'

export const START_MS = Date.UTC(2026, 10, 23, 22, 10, 0)

/** An id that is unlike every other. */
export const idOf = (number: number): string => `0193a000-0000-7000-8000-${String(number).padStart(12, '0')}`

/** A record, made a second after the one before it. */
export const record = (number: number, fields: JsonObject = {}): JsonObject => ({
  v: 1,
  id: idOf(number),
  time: new Date(START_MS + number * 1000).toISOString(),
  decision: 'allow',
  code: 'allowed',
  source: 'engine',
  subject: { type: 'User', id: 'alice' },
  action: { name: 'read' },
  resource: { type: 'Account', id: String(number) },
  context: {},
  route: 'read-account',
  configVersion: 'sha256:0',
  request: { id: idOf(number), method: 'GET', path: `/accounts/${number}` },
  latencyUs: {},
  writer: 'gw-1.0',
  ...fields,
})

export const line = (number: number, fields?: JsonObject): string => JSON.stringify(record(number, fields))

export const idsOf = (records: readonly JsonObject[]): readonly unknown[] => records.map(({ id }) => id)
