import type { Operation } from './operations.ts'
import type { ImportedSegment } from './path.ts'

/** The question that an operation asks when the document says nothing of it. */
export interface DefaultMapping {
  readonly action: string
  readonly type: string
  /** The capture that names the resource; null: there is one of its type, which `id` names. */
  readonly capture: string | null
  readonly id: string
}

const VERBS: Readonly<Record<string, string>> = {
  GET: 'read',
  HEAD: 'read',
  OPTIONS: 'read',
  PUT: 'update',
  PATCH: 'update',
  POST: 'create',
  DELETE: 'delete',
}

/**
 * Reads the question off method and path: `GET /accounts/{id}` reads an Account, `GET /accounts` lists the accounts, and
 * `POST /accounts/{id}/transfers` is `create-transfers` of that Account.
 */
export const defaultMapping = ({ method, path }: Pick<Operation, 'method' | 'path'>): DefaultMapping => {
  const { segments } = path
  const at = segments.findLastIndex(({ kind }) => kind === 'capture')
  const verb = VERBS[method] ?? method.toLowerCase()
  const behind = segments.slice(at + 1).flatMap((segment) => literal(segment) ?? [])
  const named = segments[at]
  if (named === undefined || named.kind !== 'capture') {
    const id = behind.at(-1) ?? 'root'
    const listing = method === 'GET' || method === 'HEAD'
    return { action: listing ? 'list' : verb, type: 'Collection', capture: null, id }
  }
  const holder = segments
    .slice(0, at)
    .flatMap((segment) => literal(segment) ?? [])
    .at(-1)
  const action = behind.length === 0 ? verb : [verb, ...behind].join('-')
  return { action, type: typeName(holder ?? named.capture), capture: named.capture, id: '' }
}

const literal = (segment: ImportedSegment): string | null =>
  segment.kind === 'literal' && segment.text !== '' ? segment.text : null

/** `user-accounts` as `UserAccount`: what Cedar and people take for a type. */
const typeName = (text: string): string => {
  const words = text.split(/[^A-Za-z0-9]+/).filter(Boolean)
  const last = words.at(-1)
  if (last !== undefined) words[words.length - 1] = singular(last)
  const joined = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')
  return /^[A-Za-z]/.test(joined) ? joined : `Type${joined}`
}

const singular = (word: string): string => {
  if (/[^aeiou]ies$/i.test(word)) return `${word.slice(0, -3)}y`
  if (/(ss|us|is)$/i.test(word) || !/s$/i.test(word) || word.length < 4) return word
  return /(ches|shes|xes|sses|zes)$/i.test(word) ? word.slice(0, -2) : word.slice(0, -1)
}
