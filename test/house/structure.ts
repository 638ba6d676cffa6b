import type { Import, SourceFile } from './source-files.ts'

/** A rule of DESIGN section 3: a name to say it by, and the lines about what breaks it. */
export interface Rule {
  readonly name: string
  readonly find: (files: readonly SourceFile[]) => readonly string[]
}

const MAX_LINES = 400

/** From the bottom up; an import goes to a folder that stands before its own. */
const LAYERS: readonly string[] = ['core', 'gateway', 'config', 'admin', 'start', 'cli']

const isSource = (file: SourceFile): boolean => file.path.startsWith('src/')

const segmentsOf = (path: string): readonly string[] => path.split('/')

/** The first name below src: `gateway`, or `start` for `start.ts` and what is in the folder. */
const layerOf = (path: string): string => (segmentsOf(path)[1] ?? '').replace(/\.ts$/, '')

/** The stage that a file belongs to, or null. */
const stageOf = (path: string): string | null => {
  const segments = segmentsOf(path)
  return segments[1] === 'gateway' && segments.length > 3 ? (segments[2] ?? null) : null
}

const perFile =
  (check: (file: SourceFile) => readonly string[]): Rule['find'] =>
  (files) =>
    files.flatMap((file) => check(file).map((message) => `${file.path}: ${message}`))

const perImport = (check: (file: SourceFile, found: Import, target: string) => string | null): Rule['find'] =>
  perFile((file) =>
    isSource(file)
      ? file.imports.flatMap((found) => {
          const message = found.target === null ? null : check(file, found, found.target)
          return message === null ? [] : [message]
        })
      : [],
  )

const importsPointDown: Rule = {
  name: 'an import points down or stays in its folder',
  find: perImport((file, { specifier }, target) => {
    const from = layerOf(file.path)
    const to = layerOf(target)
    if (from === to) return null
    // The demo is beside the commands, which may start it; to itself the gateway is a stranger.
    if (from === 'demo') return to === 'core' ? null : `the demo imports ${specifier}`
    if (to === 'demo') return from === 'cli' ? null : `imports the demo: ${specifier}`
    const isDown = LAYERS.includes(from) && LAYERS.includes(to) && LAYERS.indexOf(to) < LAYERS.indexOf(from)
    return isDown ? null : `imports upwards or outwards: ${specifier}`
  }),
}

const stagesAreStrangers: Rule = {
  name: 'a stage imports no other stage',
  find: perImport((file, { specifier }, target) => {
    const from = stageOf(file.path)
    const to = stageOf(target)
    return from !== null && to !== null && from !== to ? `the stage ${from} imports ${specifier}` : null
  }),
}

const stagesSeePipelineTypes: Rule = {
  name: 'a stage takes nothing but types from the files that join the stages',
  find: perImport((file, { specifier, typeOnly }, target) => {
    const isRoot = layerOf(target) === 'gateway' && stageOf(target) === null
    return stageOf(file.path) !== null && isRoot && !typeOnly ? `imports ${specifier} at run time` : null
  }),
}

const onlyPipelineJoinsStages: Rule = {
  name: 'inside gateway, stages meet in pipeline.ts alone',
  find: perImport((file, { specifier }, target) => {
    const isRoot = layerOf(file.path) === 'gateway' && stageOf(file.path) === null
    const isOther = isRoot && file.path !== 'src/gateway/pipeline.ts'
    return isOther && stageOf(target) !== null ? `imports a stage: ${specifier}` : null
  }),
}

const coreImportsNothing: Rule = {
  name: 'core imports nothing at run time but Node itself',
  find: perFile((file) =>
    layerOf(file.path) === 'core' && isSource(file)
      ? file.imports
          .filter(
            ({ target, typeOnly, specifier }) =>
              target === null && !typeOnly && !specifier.startsWith('node:'),
          )
          .map(({ specifier }) => `imports ${specifier}`)
      : [],
  ),
}

const findCycle = (
  start: string,
  edges: ReadonlyMap<string, readonly string[]>,
): readonly string[] | null => {
  const seen = new Set<string>()
  const walk = (path: string, trail: readonly string[]): readonly string[] | null => {
    if (path === start && trail.length > 0) return [...trail, path]
    if (seen.has(path)) return null
    seen.add(path)
    for (const next of edges.get(path) ?? []) {
      const cycle = walk(next, [...trail, path])
      if (cycle !== null) return cycle
    }
    return null
  }
  return walk(start, [])
}

const noCycles: Rule = {
  name: 'no import leads back to its file',
  find: (files) => {
    const targets = (file: SourceFile): readonly string[] =>
      file.imports.flatMap(({ target }) => (target === null ? [] : [target]))
    const edges = new Map(files.map((file) => [file.path, targets(file)]))
    return files.flatMap(({ path }) => {
      const cycle = findCycle(path, edges)
      return cycle === null ? [] : [cycle.join(' -> ')]
    })
  },
}

const STATEMENTS_OF_A_BARREL =
  /export\s+(?:type\s+)?(?:\*(?:\s+as\s+\w+)?|\{[^}]*\})\s*from\s*['"][^'"]*['"]\s*;?/g

const noBarrels: Rule = {
  name: 'no file exists to pass on the exports of others',
  find: perFile(({ path, code }) => {
    if (path.endsWith('/index.ts')) return ['is called index.ts']
    const rest = code.replace(STATEMENTS_OF_A_BARREL, '').trim()
    return rest === '' && code.trim() !== '' ? ['only passes on exports'] : []
  }),
}

const onlyMainExits: Rule = {
  name: 'only cli/main.ts ends the process',
  find: perFile((file) =>
    isSource(file) && file.path !== 'src/cli/main.ts' && /\bprocess\.exit\s*\(/.test(file.code)
      ? ['calls process.exit']
      : [],
  ),
}

const noProxyWeb: Rule = {
  name: 'http-proxy never proxies a plain request (CVE-2026-29057 is in its web())',
  find: perFile(({ code, imports }) =>
    imports.some(({ specifier }) => specifier === 'http-proxy') && /\bweb\s*\(/.test(code)
      ? ['calls web()']
      : [],
  ),
}

const filesAreShort: Rule = {
  name: `a source file has at most ${MAX_LINES} lines`,
  find: perFile((file) => {
    const lines = file.text.split('\n').length - 1
    return isSource(file) && lines > MAX_LINES ? [`has ${lines} lines`] : []
  }),
}

const noDefaultExports: Rule = {
  name: 'exports have names',
  find: perFile(({ code }) =>
    /^\s*export\s+default\b|\bas\s+default\b/m.test(code) ? ['has a default export'] : [],
  ),
}

// Spelled apart, so that the rule does not find itself.
const LEFT_OVER = new RegExp(`\\b(?:${['TO', 'DO'].join('')}|${['FIX', 'ME'].join('')})\\b`)

const nothingLeftOver: Rule = {
  name: 'nothing is left to be done later by a comment',
  find: perFile(({ text }) => (LEFT_OVER.test(text) ? ['has a note of work that was left'] : [])),
}

/** Every rule about the shape of the code. */
export const RULES: readonly Rule[] = [
  importsPointDown,
  stagesAreStrangers,
  stagesSeePipelineTypes,
  onlyPipelineJoinsStages,
  coreImportsNothing,
  noCycles,
  noBarrels,
  onlyMainExits,
  noProxyWeb,
  filesAreShort,
  noDefaultExports,
  nothingLeftOver,
]
