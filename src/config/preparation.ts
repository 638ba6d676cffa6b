import { dirname, relative } from 'node:path'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { Finding, Problem } from '../core/problem.ts'
import type { Secret } from '../core/secret.ts'
import type { Preparation, Settings } from '../core/settings.ts'
import type { SharedUses } from '../core/shared-uses.ts'
import type { SharedValues } from '../core/shared-values.ts'
import { compileClaims } from '../gateway/bind/claims.ts'
import type { FileStore } from './file-store.ts'
import { below, type Part } from './parse-part.ts'
import { parseBySchema } from './schema-problems.ts'
import { processDigest } from './sources.ts'
import { readYamlSource, type YamlSource } from './yaml-file.ts'

/** All that loading shares: where files come from, and where findings go. */
export interface Loading {
  readonly clock: Clock
  readonly log: Log
  readonly share: Preparation['share']
  readonly sharedUses: SharedUses
  readonly sharedValues: SharedValues
  readonly worker: number | null
  readonly workers: number
  readonly whileWanted: () => AbortSignal
  readonly files: FileStore
  /** @param file says which file is being read when a value is parsed. */
  readonly settingsFor: (file: () => string) => Settings
  readonly report: (finding: Finding) => void
}

/** Tells what is no mistake, but should be seen by whoever reads the configuration. */
export const inform = (
  loading: Pick<Loading, 'report'>,
  part: Pick<Part, 'source' | 'path'>,
  note: { readonly rule: string; readonly message: string; readonly atKey?: boolean },
): void => {
  const { atKey = false, rule, message } = note
  const { line, column } = part.source.locate({ path: part.path, atKey })
  loading.report({ severity: 'info', rule, file: part.source.file, line, column, message })
}

/** Knows afterwards what the entry was made of. */
export interface EntryPreparation extends Preparation {
  /** See `Prepared`. @param config as it was parsed. */
  readonly fingerprint: (config: unknown) => string
}

/** What the entry at `entry` of a file may use while it is prepared. */
export const createPreparation = (
  loading: Loading,
  source: YamlSource,
  entry: Problem['path'],
): EntryPreparation => {
  const { clock, log, share, sharedUses, sharedValues, worker, workers, files, whileWanted } = loading
  const report = below(source, entry)
  const reportFinding = loading.report
  const nameOf = (path: string): string => JSON.stringify(relative(dirname(source.file), path))
  const contents = new Map<string, string>()
  const readFile: Preparation['readFile'] = (path, at) => {
    const content = files.read(path)
    contents.set(path, processDigest(content))
    if (Buffer.isBuffer(content)) return content
    report({ path: at, rule: 'unreadable-file', message: `cannot read ${nameOf(path)}: ${content}` })
    return null
  }
  const readGlob: Preparation['readGlob'] = (pattern, at) => {
    const paths = files.glob(pattern)
    if (paths.length === 0) {
      report({
        path: at,
        rule: 'empty-glob',
        message: `no file matches ${nameOf(pattern)}, expected one at least`,
      })
    }
    return paths.flatMap((path) => {
      const content = readFile(path, at)
      return content === null ? [] : [{ path, content }]
    })
  }
  const readYaml: Preparation['readYaml'] = (path, schema, at) => {
    const content = readFile(path, at)
    if (content === null) return null
    const yaml = readYamlSource(path, content, reportFinding)
    const parsed = yaml && parseBySchema(schema(loading.settingsFor(() => path)), yaml.value)
    if (yaml === null || parsed === null) return null
    if (parsed.problems === null) return { value: parsed.value, report: yaml.report }
    parsed.problems.forEach(yaml.report)
    return null
  }
  const compileTemplate: Preparation['compileClaims'] = (template, at) => compileClaims(template, at, report)
  return {
    clock,
    log,
    readFile,
    readGlob,
    readYaml,
    compileClaims: compileTemplate,
    share,
    sharedUses,
    sharedValues,
    worker,
    workers,
    whileWanted,
    report,
    reportFinding,
    fingerprint: (config) => processDigest(JSON.stringify([revealed(config), [...contents]])),
  }
}

const isSecret = (value: object): value is Secret => 'reveal' in value && typeof value.reveal === 'function'

/** A parsed value with its secrets in it. */
const revealed = (value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map(revealed)
  if (isSecret(value)) return { secret: value.reveal() }
  return Object.entries(value).map(([key, held]) => [key, revealed(held)])
}
