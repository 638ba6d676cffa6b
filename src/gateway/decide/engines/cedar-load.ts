import type { Schema } from '@cedar-policy/cedar-wasm/nodejs'
import { readAside } from './cedar-aside.ts'
import type { EntityStore } from './cedar-entities.ts'
import type { Report, SourceFile } from './cedar-findings.ts'
import { type CedarPolicy, readPolicies, validatePolicies } from './cedar-policies.ts'
import { groupsOfSchema } from './cedar-schema.ts'
import { createSlicer, groupsOfEntities, type Slicer } from './cedar-slices.ts'

/** The policies of an engine, with all that tells which of them a question concerns. */
export interface LoadedPolicies {
  readonly policies: readonly CedarPolicy[]
  readonly byId: ReadonlyMap<string, CedarPolicy>
  readonly slicer: Slicer
}

export interface PolicyFiles {
  readonly policies: readonly SourceFile[]
  readonly schema: Schema | null
  readonly entities: EntityStore
}

/** Bytes of policies, some 250 of them, up to which they are read in this thread: to start another takes as long. */
const READ_HERE_BYTES = 32 * 1024

/**
 * Reads, validates and indexes policies, and reports every mistake in them.
 *
 * Many are read in a thread of their own, and taken over in steps with requests in between: Cedar takes half a
 * millisecond and more for each.
 *
 * @param signal aborted when nobody wants them any more; then the promise rejects with its reason.
 */
export const loadPolicies = (
  files: PolicyFiles,
  report: Report,
  signal: () => AbortSignal,
): LoadedPolicies | Promise<LoadedPolicies> => {
  const { policies, schema, entities } = files
  const groups = new Set([...groupsOfEntities(entities), ...(schema === null ? [] : groupsOfSchema(schema))])
  const slicer = createSlicer(entities, groups)
  const loaded = { policies: [] as CedarPolicy[], byId: new Map<string, CedarPolicy>(), slicer }
  const take = (some: readonly CedarPolicy[]): void => {
    for (const policy of some) {
      loaded.policies.push(policy)
      loaded.byId.set(policy.id, policy)
    }
    slicer.add(some)
  }
  const bytes = policies.reduce((sum, { content }) => sum + content.length, 0)
  if (bytes > READ_HERE_BYTES) {
    return readAside({ files: policies, schema }, { take, report }, signal()).then(() => loaded)
  }
  take(readAndValidate(policies, schema, report))
  return loaded
}

/** What takes Cedar long. */
export const readAndValidate = (
  files: readonly SourceFile[],
  schema: Schema | null,
  report: Report,
): readonly CedarPolicy[] => {
  const policies = readPolicies(files, report)
  if (schema !== null) validatePolicies(policies, schema, report)
  return policies
}
