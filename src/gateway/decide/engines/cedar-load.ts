import type { Schema } from '@cedar-policy/cedar-wasm/nodejs'
import type { Finding } from '../../../core/problem.ts'
import { readAside } from './cedar-aside.ts'
import type { EntityStore } from './cedar-entities.ts'
import type { Report, SourceFile } from './cedar-findings.ts'
import { readLinks } from './cedar-links.ts'
import { type CedarPolicy, readPolicies } from './cedar-policies.ts'
import { groupsOfSchema } from './cedar-schema.ts'
import { createSlicer, groupsOfEntities, type Slicer } from './cedar-slices.ts'
import { validatePolicies } from './cedar-validate.ts'

/** The policies of an engine, with all that tells which of them a question concerns. */
export interface LoadedPolicies {
  readonly policies: readonly CedarPolicy[]
  /** What was reported of them. */
  readonly findings: readonly Finding[]
  readonly byId: ReadonlyMap<string, CedarPolicy>
  readonly slicer: Slicer
}

export interface PolicyFiles {
  /** Equal for equal files. */
  readonly version: string
  readonly policies: readonly SourceFile[]
  readonly links: readonly SourceFile[]
  readonly schema: Schema | null
  readonly entities: EntityStore
}

/** Bytes of policies, some 250 of them, up to which they are read in this thread: to start another takes as long. */
const READ_HERE_BYTES = 32 * 1024

// What an engine in this process was made of is not read again: most edits concern something else. Module state that
// keeps nothing alive.
const known = new Map<string, WeakRef<LoadedPolicies>>()

/**
 * Reads, validates and indexes policies, and reports every mistake in them.
 *
 * Many are read in a thread of their own, and taken over in steps with requests in between: Cedar takes half a
 * millisecond and more for each. Those of an engine that is at work are not read again.
 *
 * @param signal aborted when nobody wants them any more; then the promise rejects with its reason.
 */
export const loadPolicies = (
  files: PolicyFiles,
  report: Report,
  signal: () => AbortSignal,
): LoadedPolicies | Promise<LoadedPolicies> => {
  const { policies, links, schema, entities } = files
  const sources = [...policies, ...links]
  const bytes = sources.reduce((sum, { content }) => sum + content.length, 0)
  const isLarge = bytes > READ_HERE_BYTES
  const key = JSON.stringify([files.version, sources.map(({ path }) => path)])
  const before = known.get(key)?.deref()
  if (isLarge && before !== undefined) {
    before.findings.forEach(report)
    return before
  }
  const groups = new Set([...groupsOfEntities(entities), ...(schema === null ? [] : groupsOfSchema(schema))])
  const slicer = createSlicer(entities, groups)
  const findings: Finding[] = []
  const loaded = { policies: [] as CedarPolicy[], byId: new Map<string, CedarPolicy>(), slicer, findings }
  const note: Report = (finding) => {
    findings.push(finding)
    report(finding)
  }
  const take = (some: readonly CedarPolicy[]): void => {
    for (const policy of some) {
      loaded.policies.push(policy)
      loaded.byId.set(policy.id, policy)
    }
    slicer.add(some)
  }
  if (isLarge) {
    return readAside({ policies, links, schema }, { take, report: note }, signal()).then(() => {
      for (const [old, held] of known) if (held.deref() === undefined) known.delete(old)
      known.set(key, new WeakRef(loaded))
      return loaded
    })
  }
  take(readAndValidate(files, note))
  return loaded
}

/** What takes Cedar long. */
export const readAndValidate = (
  { policies: files, links: linkFiles, schema }: Pick<PolicyFiles, 'policies' | 'links' | 'schema'>,
  report: Report,
): readonly CedarPolicy[] => {
  const read = readPolicies(files, report)
  const policies = [...read.policies, ...readLinks(linkFiles, read, report)]
  if (schema !== null) validatePolicies(policies, read.templates, schema, report)
  return policies
}
