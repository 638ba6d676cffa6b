import { z } from 'zod'
import type { Settings } from '../core/settings.ts'
import type { TaskRules } from '../core/stream.ts'

const MAX_LIFE_MS = 24 * 60 * 60 * 1000

/** Schema of `task` of a route. */
export const taskField = (s: Settings) =>
  z
    .strictObject({
      required: z
        .boolean()
        .default(false)
        .describe('Refuse requests that name no task in Sallyport-Task, default false'),
      maxLife: s
        .duration({ minMs: 1000, maxMs: MAX_LIFE_MS })
        .prefault('1h')
        .describe(
          'How long a task may last, from its first request on, to be used here; default 1h, at most 24h',
        ),
    })
    .optional()
    .describe('The tasks that requests may belong to, default any, for an hour')

/** Undefined where nothing is said. */
export const resolveTask = (task: z.infer<ReturnType<typeof taskField>>): TaskRules | undefined =>
  task === undefined ? undefined : { required: task.required, maxLifeMs: task.maxLife }
