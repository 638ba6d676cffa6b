/**
 * Reads the tree in the first ```` ```tree ```` block of a document: two spaces a level, several names in one
 * line parted by spaces, a comment after `#`.
 */
export const readTree = (markdown: string): readonly string[] => {
  const [, block = ''] = /```tree\n([\s\S]*?)```/.exec(markdown) ?? []
  const parents: string[] = []
  const paths: string[] = []
  for (const line of block.split('\n')) {
    const [drawn = ''] = line.split('#')
    const names = drawn.trim().split(/\s+/).filter(Boolean)
    const depth = (drawn.length - drawn.trimStart().length) / 2
    parents.length = Math.min(parents.length, depth)
    for (const name of names) paths.push([...parents, name].join(''))
    if (names.length === 1 && names[0]?.endsWith('/')) parents.push(names[0])
  }
  return paths
}

const foldersOf = (file: string): readonly string[] => {
  const segments = file.split('/').slice(0, -1)
  return segments.map((_, index) => `${segments.slice(0, index + 1).join('/')}/`)
}

/** Folders below this depth go without a line of their own, except in src. */
const MAX_DEPTH_OUTSIDE_SRC = 1

/**
 * Where a drawn tree and the files of the repository differ, one line each.
 *
 * Every drawn name must exist; every folder of src, every other top-level folder and every top-level
 * document must be drawn.
 */
export const compareTree = (drawn: readonly string[], files: readonly string[]): readonly string[] => {
  const folders = new Set(files.flatMap(foldersOf))
  const existing = new Set([...files, ...folders])
  const wanted = [
    ...[...folders].filter(
      (folder) => folder.startsWith('src/') || folder.split('/').length - 1 <= MAX_DEPTH_OUTSIDE_SRC,
    ),
    ...files.filter((file) => /^[A-Z]+\.md$/.test(file)),
  ]
  return [
    ...drawn.filter((path) => !existing.has(path)).map((path) => `${path} is drawn, but is not there`),
    ...drawn.filter((path, index) => drawn.indexOf(path) !== index).map((path) => `${path} is drawn twice`),
    ...wanted.filter((path) => !drawn.includes(path)).map((path) => `${path} is there, but is not drawn`),
  ].sort()
}
