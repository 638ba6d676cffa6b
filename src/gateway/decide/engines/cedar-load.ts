import type { Schema } from '@cedar-policy/cedar-wasm/nodejs'
import type { Finding } from '../../../core/problem.ts'
import { readAside, type Takers } from './cedar-aside.ts'
import { type EntityStore, readEntities, type StoredEntity } from './cedar-entities.ts'
import type { Report, SourceFile } from './cedar-findings.ts'
import { readLinks } from './cedar-links.ts'
import { type CedarPolicy, readPolicies } from './cedar-policies.ts'
import { groupsOfSchema } from './cedar-schema.ts'
import { createSlicer, groupsOf, type Slicer } from './cedar-slices.ts'
import { validatePolicies } from './cedar-validate.ts'

/** The policies of an engine, with all that tells which of them a question concerns. */
export interface LoadedPolicies {
  readonly policies: readonly CedarPolicy[]
  /** What was reported of them. */
  readonly findings: readonly Finding[]
  readonly byId: ReadonlyMap<string, CedarPolicy>
  readonly entities: EntityStore
  readonly slicer: Slicer
}

export interface PolicyFiles {
  /** Equal for equal files. */
  readonly version: string
  readonly policies: readonly SourceFile[]
  readonly links: readonly SourceFile[]
  /** Null: none, or none that could be read. */
  readonly entities: SourceFile | null
  readonly schema: Schema | null
}

/** Bytes, such as of 250 policies, up to which they are read in this thread: to start another takes as long. */
const READ_HERE_BYTES = 32 * 1024

// What an engine in this process was made of is not read again: most edits concern something else. Module state that
// keeps nothing alive.
const known = new Map<string, WeakRef<LoadedPolicies>>()

/**
 * Reads, validates and indexes policies and entities, and reports every mistake in them.
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
  const { policies, links, entities, schema } = files
  const sources = [...policies, ...links, ...(entities === null ? [] : [entities])]
  const bytes = sources.reduce((sum, { content }) => sum + content.length, 0)
  const isLarge = bytes > READ_HERE_BYTES
  const key = JSON.stringify([files.version, sources.map(({ path }) => path)])
  const before = known.get(key)?.deref()
  if (isLarge && before !== undefined) {
    before.findings.forEach(report)
    return before
  }
  const { loaded, takers } = startLoaded(schema, report)
  if (isLarge) {
    return readAside({ policies, links, entities, schema }, takers, signal()).then(() => {
      for (const [old, held] of known) if (held.deref() === undefined) known.delete(old)
      known.set(key, new WeakRef(loaded))
      return loaded
    })
  }
  const read = readAndValidate(files, takers.report)
  takers.takeEntities(read.entities)
  takers.takePolicies(read.policies)
  return loaded
}

/** What is to be filled, entities before policies. */
const startLoaded = (
  schema: Schema | null,
  report: Report,
): { readonly loaded: LoadedPolicies; readonly takers: Takers } => {
  const policies: CedarPolicy[] = []
  const byId = new Map<string, CedarPolicy>()
  const entities = new Map<string, StoredEntity>()
  const findings: Finding[] = []
  const groups = new Set(schema === null ? [] : groupsOfSchema(schema))
  const slicer = createSlicer(entities, groups)
  return {
    loaded: { policies, byId, entities, slicer, findings },
    takers: {
      report: (finding) => {
        findings.push(finding)
        report(finding)
      },
      takeEntities: (some) => {
        for (const [key, entity] of some) {
          entities.set(key, entity)
          for (const id of groupsOf(entity)) groups.add(id)
        }
      },
      takePolicies: (some) => {
        for (const policy of some) {
          policies.push(policy)
          byId.set(policy.id, policy)
        }
        slicer.add(some)
      },
    },
  }
}

export interface ReadSources {
  readonly policies: readonly CedarPolicy[]
  readonly entities: EntityStore
}

/** What takes Cedar long. */
export const readAndValidate = (
  { policies: files, links: linkFiles, entities, schema }: Omit<PolicyFiles, 'version'>,
  report: Report,
): ReadSources => {
  const read = readPolicies(files, report)
  const policies = [...read.policies, ...readLinks(linkFiles, read, report)]
  if (schema !== null) validatePolicies(policies, read.templates, schema, report)
  const store = entities === null ? null : readEntities(entities, schema, report)
  return { policies, entities: store ?? new Map() }
}
