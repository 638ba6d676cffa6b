import type { StartOptions } from '../options.ts'
import { openDraft } from './draft.ts'
import { replayBatch } from './replay-batch.ts'
import type { OnResult, OpenedThreads } from './threads.ts'

/** In this thread, for what is not worth another one. */
export const inThisThread = async (
  options: StartOptions,
  wantsIds: boolean,
  onResult: OnResult,
): Promise<OpenedThreads> => {
  const draft = await openDraft(options)
  if ('findings' in draft) return draft
  return {
    configVersion: draft.configuration.version,
    threads: {
      give: async (lines) => onResult(await replayBatch(lines, draft.decideAgain, wantsIds)),
      end: draft.close,
    },
  }
}
