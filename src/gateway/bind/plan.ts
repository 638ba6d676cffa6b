import { canonicalHash } from '../../core/canonical-hash.ts'
import type { Problem } from '../../core/problem.ts'
import type { Secret } from '../../core/secret.ts'
import type { Visible } from './analyse.ts'
import type { EvaluationConfig, EvaluationsConfig } from './config.ts'
import { compileHeaders, type HeaderPlan } from './headers.ts'
import { type Place, UNREADABLE_HEADERS } from './names.ts'
import type { Wanted } from './pairs.ts'
import { compileEntities, composeQuestion, type Question } from './question.ts'
import { distinctReads, type Read } from './reads.ts'
import { isRepeatable } from './repeated.ts'
import { compileRewrite, type Rewrite } from './rewrite.ts'
import type { Compilation } from './template.ts'

export interface MappingSource {
  readonly access: 'public' | 'protected'
  readonly evaluation: EvaluationConfig | undefined
  readonly evaluations: EvaluationsConfig | undefined
  readonly headers: Readonly<Record<string, string>> | undefined
  readonly rewrite: string | undefined
  /** Names of the captures of the route's path template. */
  readonly captures: readonly string[]
  /** The secrets that the route's headers may name. */
  readonly secrets: ReadonlyMap<string, Secret>
  /** `quantise` of the route's grant: what changes with every request is floored to it. */
  readonly quantiseMs: number | null
  /** More headers that expressions must not read, in lower case: carriers of credentials, and what routes set. */
  readonly unreadableHeaders?: ReadonlySet<string>
  /** In lower case: headers in which proxies that are believed say how the caller's device is. */
  readonly postureHeaders?: ReadonlySet<string>
}

/** A mapping as it stands in the route map. */
export type WrittenMapping = Pick<MappingSource, 'evaluation' | 'evaluations' | 'headers' | 'rewrite'>

/** A route's mapping, compiled and checked. */
export interface MappingPlan {
  /** For explanations. */
  readonly written: WrittenMapping
  /** SHA-256 over the mapping as it is written; part of grant keys. */
  readonly mappingHash: string
  readonly needsBody: boolean
  /** False when what is asked changes with every request, and is not quantised. */
  readonly cacheable: boolean
  /** What makes the question change with every request, such as `request.time`, quantised or not. */
  readonly volatileReads: readonly string[]
  /** True when the same caller's request for the same target gives the same. */
  readonly isRepeatable: boolean
  /** The headers that it sets, as they are written. */
  readonly headerNames: readonly string[]
  readonly quantiseMs: number | null
  readonly batch: boolean
  /** Empty for a public route. */
  readonly questions: readonly Question[]
  readonly headers: readonly HeaderPlan[]
  readonly rewrite: Rewrite | null
  readonly secrets: ReadonlyMap<string, Secret>
  /** What is read, for the record; never secrets nor cookies. */
  readonly inputs: readonly Read[]
  readonly wanted: WantedFields
}

/** What must be unambiguous in a request, because the mapping reads it. */
export interface WantedFields {
  /** In lower case. */
  readonly headers: ReadonlySet<string>
  readonly query: Wanted
  /** Null when the body is not read. */
  readonly body: Wanted | null
}

/** Volatile, but the same for all requests of a while once it is quantised. */
const QUANTISABLE: ReadonlySet<string> = new Set(['request.time', 'credential.ageSeconds'])
const VOLATILE: ReadonlySet<string> = new Set([...QUANTISABLE, 'request.id'])

/**
 * Compiles what a route says of its mapping.
 *
 * @param report gets every mistake, placed from the route on. The plan is not to be used if there was one.
 */
export const compilePlan = (source: MappingSource, report: (problem: Problem) => void): MappingPlan => {
  const { evaluation, evaluations, headers, rewrite, quantiseMs, secrets } = source
  reportPresence(source, report)
  const visible = visibleFrom(source)
  const within = (place: Place): Compilation => ({ visible: { ...visible, place }, report })
  const questions = compileQuestions(source, within('evaluation'))
  const headerPlans = compileHeaders(headers ?? {}, within('headers'))
  const rewritePlan = rewrite === undefined ? null : compileRewrite(rewrite, within('rewrite'))
  const asked = questions.flatMap((question) => question.reads)
  const forwarded = [...headerPlans.flatMap((header) => header.reads), ...(rewritePlan?.reads ?? [])]
  const reads = distinctReads([...asked, ...forwarded])
  const wanted = wantedFields(reads)
  const volatileReads = distinctReads(asked)
    .map((read) => read.label)
    .filter((label) => VOLATILE.has(label))
  const written = { evaluation, evaluations, headers, rewrite }
  return {
    written,
    mappingHash: canonicalHash(written),
    needsBody: wanted.body !== null,
    cacheable: volatileReads.every((label) => quantiseMs !== null && QUANTISABLE.has(label)),
    volatileReads,
    isRepeatable: isRepeatable(reads),
    headerNames: Object.keys(headers ?? {}),
    quantiseMs,
    batch: evaluations !== undefined,
    questions,
    headers: headerPlans,
    rewrite: rewritePlan,
    secrets,
    inputs: reads.filter(isRecordable),
    wanted,
  }
}

const reportPresence = (source: MappingSource, report: (problem: Problem) => void): void => {
  const { access, evaluation, evaluations } = source
  const say = (path: Problem['path'], message: string): void => {
    report({ path, message, rule: 'mapping', ...(path.length > 0 ? { atKey: true } : {}) })
  }
  if (access === 'public') {
    if (evaluation !== undefined) say(['evaluation'], 'a public route is asked nothing: leave evaluation out')
    if (evaluations !== undefined)
      say(['evaluations'], 'a public route is asked nothing: leave evaluations out')
  } else if (evaluation !== undefined && evaluations !== undefined) {
    say(['evaluations'], 'found evaluation and evaluations, expected one of them')
  } else if (evaluation === undefined && evaluations === undefined) {
    say([], 'found neither evaluation nor evaluations, expected one of them, or access: public')
  }
}

const visibleFrom = (source: MappingSource): Omit<Visible, 'place'> => {
  const unreadable = new Map(UNREADABLE_HEADERS)
  for (const name of source.unreadableHeaders ?? []) {
    unreadable.set(name, 'it carries a credential, or is set by a route')
  }
  const posture = [...(source.postureHeaders ?? [])]
  for (const name of posture) unreadable.set(name, `read request.posture["${name}"]`)
  return {
    isPublic: source.access === 'public',
    captures: source.captures,
    secrets: [...source.secrets.keys()],
    posture,
    unreadableHeaders: unreadable,
  }
}

const compileQuestions = (source: MappingSource, compilation: Compilation): readonly Question[] => {
  const { evaluation, evaluations } = source
  if (evaluation !== undefined) {
    const at = ['evaluation']
    return [composeQuestion(compileEntities(evaluation, at, compilation), at, compilation)]
  }
  if (evaluations === undefined) return []
  const defaults = compileEntities(evaluations, ['evaluations'], compilation)
  return evaluations.evaluations.map((item, index) => {
    const at = ['evaluations', 'evaluations', index]
    return composeQuestion({ ...defaults, ...compileEntities(item, at, compilation) }, at, compilation)
  })
}

const isRecordable = (read: Read): boolean =>
  read.root !== 'secrets' &&
  !(read.root === 'request' && read.keys[0] === 'headers' && read.keys[1] === 'cookie')

const wantedFields = (reads: readonly Read[]): WantedFields => {
  const query = reads.filter((read) => read.root === 'request' && read.keys[0] === 'query')
  const body = reads.filter((read) => read.root === 'body')
  const headers = reads.flatMap((read) =>
    read.root === 'request' && (read.keys[0] === 'headers' || read.keys[0] === 'posture')
      ? [read.keys[1] ?? '']
      : [],
  )
  return {
    headers: new Set(headers),
    query: wantedKeys(query, 1),
    body: body.length === 0 ? null : wantedKeys(body, 0),
  }
}

/** The keys at one depth, or all of them when one of the reads ends before it. */
const wantedKeys = (reads: readonly Read[], depth: number): Wanted => {
  const keys = new Set<string>()
  for (const read of reads) {
    const key = read.keys[depth]
    if (key === undefined) return 'all'
    keys.add(key)
  }
  return keys
}
