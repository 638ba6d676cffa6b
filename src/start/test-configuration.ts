import { loadConfiguration } from '../config/load.ts'
import type { Finding } from '../core/problem.ts'
import {
  type Coverage,
  coverageOf,
  createTestClock,
  runDecisionTests,
  type TestResult,
} from './decision-tests.ts'
import { createEstate, createGeneration } from './generation.ts'
import type { StartOptions } from './options.ts'

/** What became of all tests of a configuration. */
export interface TestRun {
  /** Null when the configuration, or a test, cannot be read: `findings` says why. */
  readonly results: readonly TestResult[] | null
  readonly coverage: Coverage | null
  /** What is wrong with the files; what failed is in `results`. */
  readonly findings: readonly Finding[]
  /** Absolute; what was read, to be looked at again. */
  readonly files: readonly string[]
  /** True as long as nothing that was read has changed. */
  readonly isCurrent: () => boolean
}

/**
 * Loads a configuration and runs its decision tests, by the code that serves it.
 *
 * @param files of tests; default those that are found beside the gateway file and its route maps.
 */
export const testConfiguration = async (
  options: StartOptions,
  files: readonly string[] | null,
): Promise<TestRun> => {
  const loaded = await loadConfiguration(options.file, { ...options, decisionTests: files ?? 'found' })
  const { configuration, findings, sources } = loaded
  const seen = { findings, files: sources.files, isCurrent: sources.areCurrent }
  if (configuration === null) return { ...seen, results: null, coverage: null }
  const estate = createEstate(options)
  const clock = createTestClock(options.clock)
  const generation = createGeneration(configuration, [], estate, options)
  try {
    const results = await runDecisionTests(configuration.decisionTests, generation.explainBy(clock), clock)
    return { ...seen, results, coverage: coverageOf(configuration, generation.policyIds(), results) }
  } finally {
    generation.discard()
    await estate.settled(0)
  }
}
