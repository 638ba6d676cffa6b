import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import { createTestClock, runDecisionTests } from './decision-tests.ts'
import type { Generation } from './generation.ts'
import { type NotStarted, notStarted } from './options.ts'

/** What the decision tests find wrong with an edit; null when nothing, or when it need not pass them. */
export const failedTests = async (
  { configuration, explainBy }: Pick<Generation, 'configuration' | 'explainBy'>,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Promise<NotStarted | null> => {
  const { requireTests, decisionTests, file } = configuration
  if (!requireTests) return null
  if (decisionTests.length === 0) {
    return notStarted(file, 'decision-test', 'reload.requireTests is true, and there is no decision test')
  }
  const testClock = createTestClock(clock)
  const results = await runDecisionTests(decisionTests, explainBy(testClock), testClock)
  const findings = results.flatMap((result) => result.findings)
  log.info({ tests: results.length, findings: findings.length }, 'the decision tests ran')
  return findings.length === 0 ? null : { findings }
}
