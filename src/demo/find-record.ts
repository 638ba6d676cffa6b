import { once } from 'node:events'
import { watch } from 'node:fs'
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

/**
 * Finds the record that follows a decision, and waits until it is there.
 *
 * @returns null when `signal` aborts first.
 */
export const findEnd = async (
  file: string,
  decisionId: string,
  signal: AbortSignal,
): Promise<JsonObject | null> => {
  const watcher = watch(file)
  try {
    for (;;) {
      // Begun before the look, so that no line comes unseen between the two.
      const changed = once(watcher, 'change', { signal }).then(
        () => true,
        () => false,
      )
      const found = await findFollowing(file, decisionId)
      if (found !== null || !(await changed)) return found
    }
  } finally {
    watcher.close()
  }
}

const findFollowing = async (file: string, decisionId: string): Promise<JsonObject | null> => {
  // The last line is empty, or not all there yet.
  const lines = (await readFile(file, 'utf8')).split('\n').slice(0, -1)
  for (const line of lines.filter((text) => text.includes(decisionId))) {
    const record: JsonValue = JSON.parse(line)
    if (isObject(record) && record.follows === decisionId) return record
  }
  return null
}

const isObject = (value: JsonValue): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
