import type { Configuration } from '../../config/configuration.ts'
import { type LoadOptions, loadConfiguration } from '../../config/load.ts'
import type { Finding } from '../../core/problem.ts'
import type { Engine } from '../../gateway/decide/engines/engine.ts'
import type { StartOptions } from '../options.ts'
import { createDecideAgain } from './decide-again.ts'

/** A draft that can decide. */
export interface Draft {
  readonly configuration: Configuration
  readonly decideAgain: ReturnType<typeof createDecideAgain>
  readonly close: () => Promise<void>
}

/** Loads a draft and makes its engines, and nothing else of it; or what is wrong with it. */
export const openDraft = async (
  options: StartOptions & Pick<LoadOptions, 'instead'>,
): Promise<Draft | { readonly findings: readonly Finding[] }> => {
  const { configuration, findings } = await loadConfiguration(options.file, options)
  return configuration === null ? { findings } : draftOf(configuration, options)
}

export const draftOf = (configuration: Configuration, { clock }: Pick<StartOptions, 'clock'>): Draft => {
  const engines = new Map<string, Engine>()
  for (const [name, { create }] of configuration.engines) engines.set(name, create())
  return {
    configuration,
    decideAgain: createDecideAgain({ configuration, engines, clock }),
    close: async () => {
      await Promise.all([...engines.values()].map((engine) => engine.close?.()))
    },
  }
}
