import { checkParseSchema, type Schema, type SchemaJson, schemaToJson } from '@cedar-policy/cedar-wasm/nodejs'
import { parseStrictJson } from '../../../core/strict-json.ts'
import {
  cedarFindings,
  decodeSource,
  type FindingKind,
  findingAt,
  type Report,
  type SourceFile,
  wholePiece,
} from './cedar-findings.ts'

const SCHEMA: FindingKind = { rule: 'cedar-schema', severity: 'error' }

/** How deep JSON may nest before Cedar refuses to read it (128, less what it wraps around). */
export const MAX_JSON_DEPTH = 100

/** A schema, in Cedar's own syntax or (a file named `.json`) in JSON; null after its mistakes were reported. */
export const readSchema = (file: SourceFile, report: Report): Schema | null => {
  const text = decodeSource(file, SCHEMA.rule, report)
  if (text === null) return null
  const piece = wholePiece(file.path, text)
  if (!file.path.endsWith('.json')) {
    const answer = checkParseSchema(text)
    if (answer.type === 'success') return text
    cedarFindings(answer.errors, piece, SCHEMA).forEach(report)
    return null
  }
  const parsed = parseStrictJson(text, { caseInsensitiveDuplicates: false, maxDepth: MAX_JSON_DEPTH })
  if ('problem' in parsed) {
    report(findingAt(piece, parsed.offset, SCHEMA, `found what is not JSON: ${parsed.problem}`))
    return null
  }
  if (typeof parsed.value !== 'object' || parsed.value === null || Array.isArray(parsed.value)) {
    report(findingAt(piece, 0, SCHEMA, 'found no schema, expected a map of namespaces'))
    return null
  }
  // Cedar checks the shape itself, on the next line.
  const schema = parsed.value as unknown as SchemaJson<string>
  const answer = checkParseSchema(schema)
  if (answer.type === 'success') return schema
  // In JSON the ranges are those of names, not of the file.
  cedarFindings(answer.errors, { ...piece, text: '' }, SCHEMA).forEach(report)
  return null
}

/**
 * The entity type of each action that the schema declares in exactly one namespace and not in the empty one.
 *
 * An action is `Action::"name"`; what a schema declares as `Bank::Action::"name"` alone could not be meant
 * otherwise.
 */
export const namespacedActions = (schema: Schema): ReadonlyMap<string, string> => {
  const answer = schemaToJson(schema)
  if (answer.type === 'failure') throw new Error('a schema that was checked has no JSON form')
  const types = new Map<string, string>()
  const ambiguous = new Set<string>()
  for (const [namespace, { actions }] of Object.entries(answer.json)) {
    for (const name of Object.keys(actions)) {
      if (namespace === '' || types.has(name)) ambiguous.add(name)
      types.set(name, `${namespace}::Action`)
    }
  }
  for (const name of ambiguous) types.delete(name)
  return types
}

/** Ids of the actions that others are members of, by a schema. */
export const groupsOfSchema = (schema: Schema): ReadonlySet<string> => {
  const answer = schemaToJson(schema)
  if (answer.type === 'failure') throw new Error('a schema that was checked has no JSON form')
  const groups = new Set<string>()
  for (const { actions } of Object.values(answer.json)) {
    for (const { memberOf } of Object.values(actions)) for (const { id } of memberOf ?? []) groups.add(id)
  }
  return groups
}
