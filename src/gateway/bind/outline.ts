import type { JsonObject } from '../../core/json.ts'
import type { Problem } from '../../core/problem.ts'
import type { QuestionOutline } from '../../core/question-outline.ts'
import type { EntitiesConfig, EvaluationConfig, EvaluationsConfig } from './config.ts'

/** A question as it is written. */
export interface WrittenQuestion extends QuestionOutline {
  /** Where action, resource and context are, from the route on. */
  readonly at: {
    readonly action: Problem['path']
    readonly resource: Problem['path']
    readonly context: Problem['path']
  }
}

/** The questions of a route by what is literal in them; empty for a public route. */
export const outlineQuestions = (entry: {
  readonly evaluation?: EvaluationConfig | undefined
  readonly evaluations?: EvaluationsConfig | undefined
}): readonly WrittenQuestion[] => {
  const { evaluation, evaluations } = entry
  if (evaluation !== undefined) return [outline(evaluation, {}, ['evaluation'], ['evaluation'])]
  return (evaluations?.evaluations ?? []).map((item, index) =>
    outline(item, evaluations ?? {}, ['evaluations', 'evaluations', index], ['evaluations']),
  )
}

const outline = (
  item: EntitiesConfig,
  defaults: EntitiesConfig,
  itemAt: Problem['path'],
  defaultsAt: Problem['path'],
): WrittenQuestion => {
  const action = item.action ?? defaults.action
  const resource = item.resource ?? defaults.resource
  const context = item.context ?? defaults.context
  const place = (key: keyof EntitiesConfig): Problem['path'] => [
    ...(item[key] === undefined ? defaultsAt : itemAt),
    key,
  ]
  return {
    action: literal(typeof action === 'string' ? action : action?.name),
    resourceType: literal(resource?.type),
    contextKeys: keysOf(context),
    resourceKeys: keysOf(resource?.properties),
    at: { action: place('action'), resource: place('resource'), context: place('context') },
  }
}

const keysOf = (object: JsonObject | undefined): readonly string[] => Object.keys(object ?? {}).sort()

const literal = (text: string | undefined): string | null => {
  if (text === undefined || (text.startsWith('$') && !text.startsWith('$$'))) return null
  return text.startsWith('$$') ? text.slice(1) : text
}
