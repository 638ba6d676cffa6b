import { dirname, relative } from 'node:path'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { Finding, Problem } from '../core/problem.ts'
import type { Preparation, Settings } from '../core/settings.ts'
import type { FileStore } from './file-store.ts'
import { parseBySchema } from './schema-problems.ts'
import { readYamlSource, type YamlSource } from './yaml-file.ts'

/** All that loading shares: where files come from, and where findings go. */
export interface Loading {
  readonly clock: Clock
  readonly log: Log
  readonly files: FileStore
  readonly settingsFor: (file: string) => Settings
  readonly report: (finding: Finding) => void
  readonly compileClaims: (
    template: Parameters<Preparation['compileClaims']>[0],
    report: (problem: Problem) => void,
  ) => ReturnType<Preparation['compileClaims']>
}

/** Puts a path of keys before that of each problem. */
export const below =
  (source: Pick<YamlSource, 'report'>, prefix: Problem['path']) =>
  (problem: Problem): void =>
    source.report({ ...problem, path: [...prefix, ...problem.path] })

/** A part of a file by its schema; null after its mistakes were reported. */
export const parsePart = <T>(
  source: YamlSource,
  path: Problem['path'],
  value: unknown,
  schema: Parameters<typeof parseBySchema<T>>[0],
): { readonly value: T } | null => {
  const parsed = parseBySchema(schema, value)
  if (parsed.problems === null) return { value: parsed.value }
  parsed.problems.forEach(below(source, path))
  return null
}

/** What the entry at `entry` of a file may use while it is prepared. */
export const createPreparation = (
  loading: Loading,
  source: YamlSource,
  entry: Problem['path'],
): { readonly preparation: Preparation; readonly reported: () => boolean } => {
  const { clock, log, files } = loading
  let reported = false
  const report = (problem: Problem): void => {
    reported = true
    below(source, entry)(problem)
  }
  const reportFinding = (finding: Finding): void => {
    if (finding.severity === 'error') reported = true
    loading.report(finding)
  }
  const nameOf = (path: string): string => JSON.stringify(relative(dirname(source.file), path))
  const readFile: Preparation['readFile'] = (path, at) => {
    const content = files.read(path)
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
    const parsed = yaml && parseBySchema(schema(loading.settingsFor(path)), yaml.value)
    if (yaml === null || parsed === null) return null
    const reportInside = (problem: Problem): void => {
      reported = true
      yaml.report(problem)
    }
    if (parsed.problems === null) return { value: parsed.value, report: reportInside }
    parsed.problems.forEach(reportInside)
    return null
  }
  const compileClaims: Preparation['compileClaims'] = (template, at) =>
    loading.compileClaims(template, (problem) => report({ ...problem, path: [...at, ...problem.path] }))
  const preparation = { clock, log, readFile, readGlob, readYaml, compileClaims, report, reportFinding }
  return { preparation, reported: () => reported }
}
