import { createHash } from 'node:crypto'
import type { Schema } from '@cedar-policy/cedar-wasm/nodejs'
import { z } from 'zod'
import { canonicalHash, canonicalText } from '../../../core/canonical-hash.ts'
import type { Log } from '../../../core/log.ts'
import type { ReviewedQuestion } from '../../../core/question-outline.ts'
import { refuse } from '../../../core/refusals.ts'
import type { Preparation, Settings } from '../../../core/settings.ts'
import { prepareAhead, questionsOfSchema } from './cedar-ahead.ts'
import { type Evaluation, evaluateByCedar, scopeOf } from './cedar-evaluate.ts'
import { nearPolicies, policySources } from './cedar-explain.ts'
import type { SourceFile } from './cedar-findings.ts'
import { type LoadedPolicies, loadPolicies } from './cedar-load.ts'
import { relativeNames } from './cedar-policies.ts'
import { createSlices } from './cedar-prepared-slices.ts'
import { reviewCedar } from './cedar-review.ts'
import { namespacedActions, readSchema } from './cedar-schema.ts'
import { prepareSchema } from './cedar-slots.ts'
import { defineEngine, type Engine, type EngineFactory } from './engine.ts'

const config = (s: Settings) =>
  z
    .strictObject({
      type: z.literal('cedar'),
      policies: z.array(s.glob()).min(1).describe('Files of Cedar policies; patterns may hold * and **.'),
      links: z
        .array(s.glob())
        .min(1)
        .optional()
        .describe(
          'YAML or JSON files of links, each of which makes a policy of a template: links: [{ id, template, principal, resource }]; default none.',
        ),
      schema: s
        .path()
        .optional()
        .describe(
          'A Cedar schema, or one in JSON (*.json), default none: policies and requests are not validated.',
        ),
      entities: s
        .path()
        .optional()
        .describe("Entities in Cedar's JSON, default none: only what the request says is known."),
    })
    .describe('Cedar, evaluated in this process.')

type CedarConfig = z.infer<ReturnType<typeof config>>

/**
 * Cedar in this process; answers at once.
 *
 * Subjects and resources are `Type::"id"`, actions `Action::"name"`. Every mistake in policies, schema and
 * entities is found when the configuration is loaded, and placed in its own file.
 */
export const cedar = defineEngine({
  type: 'cedar',
  config,
  prepare: (name, settings: CedarConfig, preparation) => {
    const files = readFiles(settings, preparation)
    const schema = files.schema && readSchema(files.schema, preparation.reportFinding)
    // Entities cannot be checked against a schema that is itself wrong.
    const entities = schema !== null || files.schema === null ? files.entities : null
    const policyVersion = versionOf(files)
    const { log, reportFinding, whileWanted = () => UNENDING } = preparation
    const factoryOf = (loaded: LoadedPolicies): EngineFactory =>
      Object.assign(() => createEngine({ name, loaded, schema, policyVersion, log }), {
        review: (questions: readonly ReviewedQuestion[]) =>
          reviewCedar(name, loaded.policies, schema, questions),
      })
    const all = { ...files, version: policyVersion, schema, entities }
    const loaded = loadPolicies(all, reportFinding, whileWanted)
    return loaded instanceof Promise ? loaded.then(factoryOf) : factoryOf(loaded)
  },
})

const UNENDING = new AbortController().signal

interface CedarFiles {
  readonly policies: readonly SourceFile[]
  readonly links: readonly SourceFile[]
  readonly schema: SourceFile | null
  readonly entities: SourceFile | null
}

const readFiles = (settings: CedarConfig, { readGlob, readFile }: Preparation): CedarFiles => {
  const readGlobs = (key: 'policies' | 'links'): readonly SourceFile[] => {
    const files = new Map<string, SourceFile>()
    for (const [index, pattern] of (settings[key] ?? []).entries()) {
      // A file that two patterns match is one file.
      for (const file of readGlob(pattern, [key, index])) files.set(file.path, file)
    }
    return [...files.values()].sort((left, right) => (left.path < right.path ? -1 : 1))
  }
  const read = (path: string | undefined, key: string): SourceFile | null => {
    const content = path === undefined ? null : readFile(path, [key])
    return path === undefined || content === null ? null : { path, content }
  }
  return {
    policies: readGlobs('policies'),
    links: readGlobs('links'),
    schema: read(settings.schema, 'schema'),
    entities: read(settings.entities, 'entities'),
  }
}

/** `sha256:` over the very bytes of every file, and the names by which policies without `@id` go. */
const versionOf = ({ policies, links, schema, entities }: CedarFiles): string => {
  const names = relativeNames(policies.map(({ path }) => path))
  const hash = createHash('sha256')
  const add = (role: string, name: string, content: Buffer): void => {
    hash.update(canonicalText([role, name, content.length])).update(content)
  }
  for (const { path, content } of policies) add('policies', names.get(path) ?? path, content)
  for (const { content } of links) add('links', '', content)
  if (schema !== null) add('schema', schema.path.endsWith('.json') ? 'json' : 'cedar', schema.content)
  if (entities !== null) add('entities', 'json', entities.content)
  return `sha256:${hash.digest('hex')}`
}

const createEngine = (parts: {
  readonly name: string
  readonly loaded: LoadedPolicies
  readonly schema: Schema | null
  readonly policyVersion: string
  readonly log: Log
}): Engine => {
  const { name, loaded, schema, policyVersion, log } = parts
  const slices = createSlices(name, loaded)
  const preparedSchema = schema === null ? null : prepareSchema(name, schema)
  preparedSchema?.slot()
  const evaluation: Evaluation = {
    sliceOf: slices.sliceOf,
    policies: loaded.byId,
    schema: preparedSchema,
    entities: loaded.entities,
    actionTypes: schema === null ? new Map() : namespacedActions(schema),
  }
  const ahead = prepareAhead(name, slices, () => (schema === null ? [] : questionsOfSchema(schema)), log)
  return {
    name,
    type: 'cedar',
    policyVersion: () => policyVersion,
    policyIds: loaded.policies.map(({ id }) => id),
    policyHashes: () => new Map(loaded.policies.map(({ id, json }) => [id, canonicalHash(json)])),
    evaluate: (requests) => {
      try {
        return requests.map((request) => evaluateByCedar(request, evaluation))
      } catch (bug) {
        // What a request can cause comes back as an answer: this is Cedar's own failure.
        log.error({ engine: name, stack: bug instanceof Error ? bug.stack : String(bug) }, 'Cedar broke')
        return refuse('decide', 'engine_unavailable', `engine ${name}: Cedar broke; its stack is in the log`)
      }
    },
    policies: (ids) => policySources(loaded.policies, ids),
    nearPolicies: (request) => {
      const slice = evaluation.sliceOf(scopeOf(request, evaluation.actionTypes))
      return nearPolicies(slice.policies, request, { ...evaluation, named: slice.named })
    },
    close: () => {
      ahead.stop()
      slices.release()
      preparedSchema?.release()
    },
  }
}
