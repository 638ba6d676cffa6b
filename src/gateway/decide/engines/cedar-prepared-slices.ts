import { LRUCache } from 'lru-cache'
import type { Evaluation, PreparedSlice } from './cedar-evaluate.ts'
import { namedEntities } from './cedar-literals.ts'
import type { LoadedPolicies } from './cedar-load.ts'
import type { CedarPolicy } from './cedar-policies.ts'
import type { PolicySlice } from './cedar-slices.ts'
import { preparePolicies } from './cedar-slots.ts'
import { staticPolicies } from './cedar-validate.ts'

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
  { policies, slicer }: LoadedPolicies,
): Pick<Evaluation, 'sliceOf'> & { readonly release: () => void } => {
  const prepare = (slice: readonly CedarPolicy[]): PreparedSlice => {
    const named = new Set<string>()
    for (const { json } of slice) namedEntities(json, named)
    const prepared = preparePolicies(engine, { staticPolicies: staticPolicies(slice) }, slice.length)
    return { policies: slice, prepared, named }
  }
  if (policies.length <= UNSLICED) {
    const all = prepare(policies)
    all.prepared.slot()
    return { sliceOf: () => all, release: () => all.prepared.release() }
  }
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
  return { sliceOf: (question) => preparedSlice(slicer.sliceOf(question)), release: () => slices.clear() }
}
