import { dirname, join } from 'node:path'
import { z } from 'zod'
import type { Problem } from '../../core/problem.ts'
import { below, child, listItems, type Part, parsePart, reportUnknownKeys } from '../parse-part.ts'
import type { Loading } from '../preparation.ts'
import { parseBySchema } from '../schema-problems.ts'
import type { TextPosition } from '../yaml/text-position.ts'
import { readYamlSource } from '../yaml-file.ts'
import { type Expanded, expandTest } from './expand.ts'
import { decisionTestSchema, type Expected, type TestRequest, wholeTestSchema } from './schema.ts'

/** One request and what must come of it. */
export interface DecisionTest extends TextPosition {
  readonly name: string
  /** Absolute. */
  readonly file: string
  readonly request: TestRequest & { readonly url: string }
  readonly expect: Expected
  /** Where each key of `expect` is written. */
  readonly places: ReadonlyMap<string, TextPosition>
}

const TEST_FILE = /\.test\.ya?ml$/

/** True for a file of decision tests that stands among route maps. */
export const isDecisionTestFile = (path: string): boolean => TEST_FILE.test(path)

/**
 * The files of decision tests that belong to a configuration.
 *
 * They are `*.test.yaml` beside the gateway file and beside each route map, and all YAML files below a folder `tests`
 * there.
 */
export const findDecisionTests = (files: Loading['files'], besides: readonly string[]): readonly string[] => {
  const folders = [...new Set(besides.map((file) => dirname(file)))]
  const patterns = folders.flatMap((folder) =>
    ['*.test', 'tests/**/*'].flatMap((name) => [join(folder, `${name}.yaml`), join(folder, `${name}.yml`)]),
  )
  return [...new Set(patterns.flatMap((pattern) => files.glob(pattern)))].sort()
}

const CONTAINER = { tests: z.array(z.unknown()).describe('The tests, in any order') }

/** Reads files of decision tests, one test for each row of a table, and reports every mistake in them. */
export const readDecisionTests = (loading: Loading, paths: readonly string[]): readonly DecisionTest[] => {
  const test = decisionTestSchema()
  const whole = wholeTestSchema()
  return paths.flatMap((path) => {
    // They are no part of what decides, and so of no version.
    const content = loading.files.readAside(path)
    if (!Buffer.isBuffer(content)) {
      const message = `the tests cannot be read: ${content}`
      loading.report({ severity: 'error', rule: 'unreadable-file', file: path, line: 1, column: 1, message })
      return []
    }
    const source = readYamlSource(path, content, loading.report)
    if (source === null) return []
    const root: Part = { source, path: [], value: source.value }
    reportUnknownKeys(root, Object.keys(CONTAINER))
    return listItems(child(root, 'tests'), CONTAINER.tests).flatMap((part) => {
      const parsed = parsePart(part, test)
      if (parsed === null) return []
      return expandTest(parsed.value, below(source, part.path)).flatMap((expanded) =>
        wholeTest(expanded, part, whole),
      )
    })
  })
}

const wholeTest = (
  { name, value, at, expectAt }: Expanded,
  part: Part,
  schema: ReturnType<typeof wholeTestSchema>,
): readonly DecisionTest[] => {
  const { source } = part
  const report = (path: Problem['path'], message: string): readonly [] => {
    source.report({ path: [...part.path, ...path], message, rule: 'decision-test' })
    return []
  }
  const parsed = parseBySchema(schema, value)
  if (parsed.problems !== null) {
    // Parts of it were good by themselves: it is a cell that is not.
    for (const { path, message } of parsed.problems) {
      const [side, key] = path
      report(side === 'expect' ? expectAt(String(key)) : at, `${path.join('.')}: ${message}`)
    }
    return []
  }
  const { request, expect } = parsed.value
  const { url } = request
  if (url === undefined) return report(at, 'the request has no url')
  const keys = Object.keys(expect)
  if (keys.length === 0) return report(at, 'nothing is expected')
  const locate = (path: Problem['path']): TextPosition => source.locate({ path: [...part.path, ...path] })
  const places = new Map(keys.map((key) => [key, locate(expectAt(key))]))
  return [{ name, file: source.file, ...locate(at), request: { ...request, url }, expect, places }]
}
