import { isJsonObject, type JsonObject, type JsonValue } from '../../core/json.ts'
import { createLineSplitter } from '../../gateway/record/read-lines.ts'
import type { createDecideAgain } from './decide-again.ts'
import { readRecorded } from './recorded.ts'
import { createTallying, type Tally } from './tally.ts'
import { OUTCOMES, type Outcome, type Verdict } from './verdict.ts'

/** What came of the lines of one piece of a log. Plain data: it goes between threads. */
export interface BatchResult {
  readonly tally: Tally
  /** Ids, each followed by a comma; null when nobody wants them. */
  readonly ids: Readonly<Record<Outcome, string>> | null
}

const MAX_WAITING = 64

/**
 * Decides every record of whole lines again.
 *
 * @param wantsIds false: only counts, groups and examples.
 */
export const replayBatch = async (
  lines: Buffer,
  decideAgain: ReturnType<typeof createDecideAgain>,
  wantsIds: boolean,
): Promise<BatchResult> => {
  const tallying = createTallying()
  const ids = Object.fromEntries(OUTCOMES.map((outcome) => [outcome, ''])) as Record<Outcome, string>
  const take = (verdict: Verdict, id: string, count: number): void => {
    tallying.add(verdict, id, count)
    if (wantsIds && id !== '') ids[verdict.outcome] += `${id},`
  }
  const texts: string[] = []
  const splitter = createLineSplitter(({ bytes }) => {
    tallying.line()
    if (bytes === null) tallying.skip('illegible', 1)
    else if (bytes.length > 0) texts.push(bytes.toString('utf8'))
    return true
  })
  splitter.push(lines)
  splitter.end()
  let waiting: Promise<void>[] = []
  for (const text of texts) {
    const record = parse(text)
    if (record === null) {
      tallying.skip('illegible', 1)
      continue
    }
    const recorded = readRecorded(record)
    if (typeof recorded === 'string') {
      tallying.skip(recorded, 1)
      continue
    }
    const count = typeof record.count === 'number' && record.count > 0 ? record.count : 1
    const verdict = decideAgain(recorded)
    if (verdict instanceof Promise) waiting.push(verdict.then((known) => take(known, recorded.id, count)))
    else take(verdict, recorded.id, count)
    if (waiting.length >= MAX_WAITING) {
      await Promise.all(waiting)
      waiting = []
    }
  }
  await Promise.all(waiting)
  return { tally: tallying.result(), ids: wantsIds ? ids : null }
}

const parse = (text: string): JsonObject | null => {
  try {
    const value: JsonValue = JSON.parse(text)
    return isJsonObject(value) ? value : null
  } catch {
    return null
  }
}
