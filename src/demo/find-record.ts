import { readFile } from 'node:fs/promises'
import type { JsonObject, JsonValue } from '../core/json.ts'

/** Finds a decision in a log by its id; null when it is not there. Reads the whole file: for a demo's log. */
export const findRecord = async (file: string, decisionId: string): Promise<JsonObject | null> => {
  const lines = (await readFile(file, 'utf8')).split('\n')
  for (const line of lines.filter((text) => text.includes(decisionId))) {
    const record: JsonValue = JSON.parse(line)
    // A later record of the same request names this id too, but not as its own.
    if (isObject(record) && record.id === decisionId) return record
  }
  return null
}

const isObject = (value: JsonValue): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
