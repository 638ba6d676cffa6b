import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative, sep } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The root of the repository, from dist/test/house. */
export const repositoryRoot = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')

export interface Import {
  readonly specifier: string
  /** Path from the root of the repository, `src/core/clock.ts`; null for a package or a Node module. */
  readonly target: string | null
  /** True when nothing of it is left at run time. */
  readonly typeOnly: boolean
}

export interface SourceFile {
  /** From the root of the repository, with `/`. */
  readonly path: string
  readonly text: string
  /** `text` with every comment and the inside of every string blanked out. */
  readonly code: string
  readonly imports: readonly Import[]
}

const STATIC = /(?:^|[\n;])\s*(import|export)\s+(type\s)?(?:[\w*\s{},$]*?\sfrom\s*)?['"]([^'"\n]+)['"]/g
const DYNAMIC = /\bimport\s*\(\s*['"]([^'"\n]+)['"]/g

// Strings and templates are matched so that a `//` inside one is not taken for a comment.
const COMMENT_OR_STRING =
  /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\[\s\S]|[^`\\])*`/g

const blank = (text: string): string => text.replace(/[^\n]/g, ' ')

const withoutComments = (text: string): string =>
  text.replace(COMMENT_OR_STRING, (match) => (match.startsWith('/') ? blank(match) : match))

const withoutStrings = (code: string): string =>
  code.replace(COMMENT_OR_STRING, (match) => match[0] + blank(match.slice(1, -1)) + match.at(-1))

const resolveImport = (importer: string, specifier: string, typeOnly: boolean): Import => ({
  specifier,
  target: specifier.startsWith('.') ? posix.join(posix.dirname(importer), specifier) : null,
  typeOnly,
})

/** Reads what a file imports. An inline `{ type A }` counts as an import at run time, because it is one. */
export const parseSource = (path: string, text: string): SourceFile => {
  const uncommented = withoutComments(text)
  const imports: Import[] = []
  for (const [, , type, specifier = ''] of uncommented.matchAll(STATIC)) {
    imports.push(resolveImport(path, specifier, type !== undefined))
  }
  for (const [, specifier = ''] of uncommented.matchAll(DYNAMIC)) {
    imports.push(resolveImport(path, specifier, false))
  }
  return { path, text, code: withoutStrings(uncommented), imports }
}

/** Every TypeScript file below a folder of the repository, sorted by path. */
export const readSources = (folder: string): readonly SourceFile[] =>
  readdirSync(join(repositoryRoot, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(repositoryRoot, folder, name))
    .map((file) =>
      parseSource(relative(repositoryRoot, file).split(sep).join('/'), readFileSync(file, 'utf8')),
    )
    .sort((a, b) => (a.path < b.path ? -1 : 1))
