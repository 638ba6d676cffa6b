import { LRUCache } from 'lru-cache'
import type { Evaluation, PreparedSlice } from './cedar-evaluate.ts'
import { namedEntities } from './cedar-literals.ts'
import type { LoadedPolicies } from './cedar-load.ts'
import type { CedarPolicy } from './cedar-policies.ts'
import type { PolicySlice, ScopeQuestion } from './cedar-slices.ts'
import { preparePolicies } from './cedar-slots.ts'
import { staticPolicies } from './cedar-validate.ts'

/** With no more than these, all of them are one slice, which is parsed while the configuration is loaded. */
const UNSLICED = 32
/** As many as there are slots for them. */
const MOST_SLICES = 1024

export interface Slices extends Pick<Evaluation, 'sliceOf'> {
  /** Parses the slice of a question; false when there is nothing to do. */
  readonly prepare: (question: ScopeQuestion) => boolean
  /** A question for each slice that there is, the last one first. */
  readonly asked: () => readonly ScopeQuestion[]
  readonly release: () => void
}

interface KnownSlice extends PreparedSlice {
  readonly question: ScopeQuestion
}

/**
 * The policies of an engine in slices, each parsed when a question first wants it, which takes about as long as a decision.
 *
 * So a decision costs what the policies cost that it can match, however many others there are.
 */
export const createSlices = (engine: string, { policies, slicer }: LoadedPolicies): Slices => {
  const prepare = (slice: readonly CedarPolicy[]): PreparedSlice => {
    const named = new Set<string>()
    for (const { json } of slice) namedEntities(json, named)
    const prepared = preparePolicies(engine, { staticPolicies: staticPolicies(slice) }, slice.length)
    return { policies: slice, prepared, named }
  }
  if (policies.length <= UNSLICED) {
    const all = prepare(policies)
    all.prepared.slot()
    return {
      sliceOf: () => all,
      prepare: () => false,
      asked: () => [],
      release: () => all.prepared.release(),
    }
  }
  const slices = new LRUCache<string, KnownSlice>({
    max: MOST_SLICES,
    dispose: ({ prepared }) => prepared.release(),
  })
  const make = ({ key, policies: slice }: PolicySlice, question: ScopeQuestion): KnownSlice => {
    const made = { ...prepare(slice()), question }
    slices.set(key, made)
    return made
  }
  return {
    sliceOf: (question) => {
      const slice = slicer.sliceOf(question)
      return slices.get(slice.key) ?? make(slice, question)
    },
    prepare: (question) => {
      const slice = slicer.sliceOf(question)
      if (slices.has(slice.key)) return false
      make(slice, question).prepared.slot()
      return true
    },
    asked: () => [...slices.values()].map(({ question }) => question),
    release: () => slices.clear(),
  }
}
