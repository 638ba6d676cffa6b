import type { Schema } from '@cedar-policy/cedar-wasm/nodejs'
import { LRUCache } from 'lru-cache'
import type { EntityStore } from './cedar-entities.ts'
import type { Evaluation, PreparedSlice } from './cedar-evaluate.ts'
import { namedEntities } from './cedar-literals.ts'
import { type CedarPolicy, policyTexts } from './cedar-policies.ts'
import { groupsOfSchema } from './cedar-schema.ts'
import { createSlicer, groupsOfEntities, type PolicySlice } from './cedar-slices.ts'
import { preparePolicies } from './cedar-slots.ts'

/** With no more than these, all of them are one slice, which is parsed while the configuration is loaded. */
const UNSLICED = 32
/** As many as there are slots for them. */
const MOST_SLICES = 1024

/**
 * The policies of an engine in slices, each parsed when a question first wants it, which takes about as long as a decision.
 *
 * So a decision costs what the policies cost that it can match, however many others there are.
 */
export const createSlices = (
  engine: string,
  policies: readonly CedarPolicy[],
  schema: Schema | null,
  entities: EntityStore,
): Pick<Evaluation, 'sliceOf'> & { readonly release: () => void } => {
  const prepare = (slice: readonly CedarPolicy[]): PreparedSlice => {
    const named = new Set<string>()
    for (const { json } of slice) namedEntities(json, named)
    const prepared = preparePolicies(engine, { staticPolicies: policyTexts(slice) }, slice.length)
    return { policies: slice, prepared, named }
  }
  if (policies.length <= UNSLICED) {
    const all = prepare(policies)
    all.prepared.slot()
    return { sliceOf: () => all, release: () => all.prepared.release() }
  }
  const groups = new Set([...groupsOfEntities(entities), ...(schema === null ? [] : groupsOfSchema(schema))])
  const slicer = createSlicer(policies, entities, groups)
  const slices = new LRUCache<string, PreparedSlice>({
    max: MOST_SLICES,
    dispose: ({ prepared }) => prepared.release(),
  })
  const preparedSlice = ({ key, policies: slice }: PolicySlice): PreparedSlice => {
    const known = slices.get(key)
    if (known !== undefined) return known
    const made = prepare(slice())
    slices.set(key, made)
    return made
  }
  return { sliceOf: (question) => preparedSlice(slicer(question)), release: () => slices.clear() }
}
