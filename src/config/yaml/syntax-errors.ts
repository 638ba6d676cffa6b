import { type Document, isCollection, isScalar, type Node, visit, type YAMLError } from 'yaml'

/** A mistake at an offset of a YAML text. */
export interface TextProblem {
  readonly offset: number
  readonly rule: string
  readonly message: string
}

type Code = YAMLError['code']

// The library's own messages are not used: some of them quote the file, which may hold a secret.
const MESSAGES: Readonly<Partial<Record<Code, string>>> = {
  ALIAS_PROPS: 'found an alias with an anchor or a tag of its own, expected the alias alone',
  BAD_ALIAS: 'found an anchor or an alias without a name that is allowed, expected letters and digits',
  BAD_COLLECTION_TYPE: 'found a tag that does not fit this collection, expected none',
  BAD_DIRECTIVE: 'found a directive that is not known, expected none, or %YAML 1.2',
  BAD_DQ_ESCAPE:
    'found an escape that YAML does not know in a double-quoted string; write \\\\ for a backslash',
  BAD_INDENT: 'found an indentation that does not fit the lines above, expected the column of its siblings',
  BAD_PROP_ORDER: 'found an anchor or a tag at the wrong place, expected it right before its value',
  BLOCK_AS_IMPLICIT_KEY:
    'found a nested map or list, expected one value; a string that holds ": " needs quotes, and a nested map a line of its own',
  BLOCK_IN_FLOW: 'found a block map or list inside brackets, expected it written with brackets too',
  IMPOSSIBLE: 'found something that is not YAML',
  KEY_OVER_1024_CHARS: 'found a key of more than 1024 characters',
  MISSING_CHAR:
    'a character is missing: expected ":" after a key, "- " before an item of a list, or "," between items in brackets',
  MULTILINE_IMPLICIT_KEY: 'found a line that is neither a key with ":" nor an item with "- "',
  MULTIPLE_ANCHORS: 'found two anchors on one value, expected one at most',
  MULTIPLE_TAGS: 'found two tags on one value, expected none',
  RESOURCE_EXHAUSTION: 'the file is nested too deeply',
  TAB_AS_INDENT: 'found a tab, expected spaces as indentation',
  TAG_RESOLVE_FAILED: 'found a tag (!), expected a plain value; custom tags are not supported',
  UNEXPECTED_TOKEN:
    'found more text after the end of a value, expected a new line; a string that holds brackets, braces or quotes needs quotes around it',
}

const message = ({ code, pos }: YAMLError, text: string): string => {
  if (code !== 'BAD_SCALAR_START') return MESSAGES[code] ?? 'found something that is not YAML'
  const found = JSON.stringify(text.slice(pos[0], pos[0] + 1))
  return `found ${found} at the start of a string, expected quotes around such a string`
}

const QUOTES: Readonly<Record<string, string>> = { QUOTE_DOUBLE: '"', QUOTE_SINGLE: "'" }

/** What opens a quoted string or a bracket that the node never closes; null when all is well. */
const unclosed = (node: Node, text: string): string | null => {
  const range = node.range
  if (range === undefined || range === null) return null
  const [start, end] = range
  if (isScalar(node)) {
    const quote = QUOTES[node.type ?? '']
    if (quote === undefined) return null
    return end - start < 2 || text[end - 1] !== quote ? quote : null
  }
  if (!isCollection(node) || node.flow !== true) return null
  const open = text[start]
  const close = open === '{' ? '}' : ']'
  return end - start < 2 || text[end - 1] !== close ? (open ?? null) : null
}

const unclosedProblems = (document: Document, text: string): TextProblem[] => {
  const quotes: TextProblem[] = []
  const brackets: TextProblem[] = []
  visit(document, {
    Node: (_key, node) => {
      const open = unclosed(node, text)
      if (open === null) return
      const isQuote = open === '"' || open === "'"
      const what = isQuote ? 'this quote' : 'this bracket'
      const found = `found no end of ${what} (${open}), expected it closed`
      const problem = { offset: node.range?.[0] ?? 0, rule: 'yaml', message: found }
      if (isQuote) quotes.push(problem)
      else brackets.push(problem)
    },
  })
  // A quote without its end takes the ends of the brackets around it.
  return quotes.length > 0 ? quotes : brackets
}

/** The first mistake of the parser on each line; what follows on a line is nearly always its echo. */
export const syntaxProblems = (document: Document, text: string): readonly TextProblem[] => {
  const errors = [...document.errors, ...document.warnings].sort((left, right) => left.pos[0] - right.pos[0])
  const exhausted = errors.find((error) => error.code === 'RESOURCE_EXHAUSTION')
  if (exhausted !== undefined) {
    return [{ offset: exhausted.pos[0], rule: 'yaml', message: message(exhausted, text) }]
  }
  if (errors.length === 0) return []
  const problems = unclosedProblems(document, text)
  // Whatever is said after something was left open comes from reading the rest of the file as its content.
  const firstOpen = problems.reduce((first, { offset }) => Math.min(first, offset), text.length + 1)
  for (const error of errors) {
    if (error.pos[0] >= firstOpen) continue
    problems.push({ offset: error.pos[0], rule: 'yaml', message: message(error, text) })
  }
  const lines = new Set<number>()
  return problems.filter(({ offset }) => {
    const line = text.lastIndexOf('\n', offset - 1)
    if (lines.has(line)) return false
    lines.add(line)
    return true
  })
}
