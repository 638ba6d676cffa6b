import type { ASTNode } from '@marcbachmann/cel-js'
import { didYouMean } from '../../core/nearest.ts'
import { FUNCTION_NAMES, literalText, METHOD_NAMES } from './cel.ts'
import { CEL_CONSTANTS, isRoot, originOf, type Place, ROOTS, type Root, rootsOf } from './names.ts'
import { patternProblem } from './pattern.ts'
import { distinctReads, type Read, toRead } from './reads.ts'

/** What one expression may read. */
export interface Visible {
  readonly place: Place
  /** True when nobody is authenticated: there are no claims, subject or credential. */
  readonly isPublic: boolean
  readonly captures: readonly string[]
  readonly secrets: readonly string[]
  /** Headers in lower case, in which proxies that are believed say how the caller's device is. */
  readonly posture: readonly string[]
  /** Headers in lower case, and what to do instead of reading them. */
  readonly unreadableHeaders: ReadonlyMap<string, string>
}

/** A mistake at a character of the expression. */
export interface Mistake {
  readonly position: number
  readonly message: string
  readonly rule: string
}

export interface Analysis {
  readonly reads: readonly Read[]
  /** What the whole expression is when it does nothing but read one place. */
  readonly direct: DirectRead | null
  readonly mistakes: readonly Mistake[]
}

export interface DirectRead {
  readonly read: Read
  readonly optional: boolean
  /** What has to be there all the same when the read is optional; null when that is nothing but the root. */
  readonly base: Read | null
}

/** A selection or an index: `key` is null when it is computed. */
interface Step {
  readonly key: string | null
  readonly optional: boolean
  readonly index: ASTNode | null
  readonly position: number
}

interface Analyser {
  readonly visible: Visible
  readonly reads: Read[]
  readonly mistakes: Mistake[]
}

type Bound = ReadonlySet<string>

const COMPREHENSIONS: ReadonlyMap<string, readonly number[]> = new Map([
  ['all', [2]],
  ['exists', [2]],
  ['exists_one', [2]],
  ['filter', [2]],
  ['map', [2, 3]],
])
const POISONOUS_KEYS: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype'])

/**
 * Finds what an expression reads, and the names in it that are not there to be read.
 *
 * Does not check types.
 */
export const analyse = (ast: ASTNode, visible: Visible): Analysis => {
  const analyser: Analyser = { visible, reads: [], mistakes: [] }
  visit(analyser, ast, new Set())
  return { reads: distinctReads(analyser.reads), direct: directRead(ast), mistakes: analyser.mistakes }
}

const directRead = (ast: ASTNode): DirectRead | null => {
  const { base: start, steps } = chainOf(ast)
  const root = start.op === 'id' ? start.args : ''
  const keys = steps.map((step) => step.key)
  if (!isRoot(root) || !keys.every((key) => key !== null)) return null
  const firstOptional = steps.findIndex((step) => step.optional)
  const base = firstOptional > 0 ? toRead(root, keys.slice(0, firstOptional)) : null
  return { read: toRead(root, keys), optional: firstOptional !== -1, base }
}

/** The roots that are read in a part of an expression. */
export const rootsIn = (ast: ASTNode, visible: Visible): readonly Root[] =>
  analyse(ast, visible).reads.map((read) => read.root)

/** The root that a chain of selections starts from, if it does start from one. */
export const rootOfChain = (ast: ASTNode): Root | null => {
  const { base } = chainOf(ast)
  return base.op === 'id' && isRoot(base.args) ? base.args : null
}

const chainOf = (ast: ASTNode): { readonly base: ASTNode; readonly steps: readonly Step[] } => {
  const steps: Step[] = []
  let node = ast
  for (;;) {
    if (node.op === '.' || node.op === '.?') {
      steps.push({ key: node.args[1], optional: node.op === '.?', index: null, position: node.pos })
    } else if (node.op === '[]' || node.op === '[?]') {
      const index = node.args[1]
      const optional = node.op === '[?]'
      steps.push({ key: literalText(index), optional, index, position: index.start })
    } else {
      return { base: node, steps: steps.reverse() }
    }
    node = node.args[0]
  }
}

const visit = (analyser: Analyser, ast: ASTNode, bound: Bound): void => {
  switch (ast.op) {
    case 'value':
      return
    case 'id':
    case '.':
    case '.?':
    case '[]':
    case '[?]':
      return visitChain(analyser, ast, bound)
    case '!_':
    case '-_':
      return visit(analyser, ast.args, bound)
    case 'call':
      return visitCall(analyser, ast, ast.args[0], ast.args[1], bound)
    case 'rcall':
      return visitMethod(analyser, ast, ast.args, bound)
    case 'map':
      return visitMap(analyser, ast.args, bound)
    default:
      for (const operand of ast.args) visit(analyser, operand, bound)
  }
}

const visitChain = (analyser: Analyser, ast: ASTNode, bound: Bound): void => {
  const { base, steps } = chainOf(ast)
  for (const step of steps) {
    if (step.index !== null && step.key === null) visit(analyser, step.index, bound)
  }
  if (base.op !== 'id') return visit(analyser, base, bound)
  const name = base.args
  if (bound.has(name) || CEL_CONSTANTS.has(name)) return
  if (!isRoot(name) || !rootsOf(analyser.visible.place).includes(name)) {
    return unknownName(analyser, base.pos, name)
  }
  readRoot(analyser, name, base.pos, steps)
}

const mistake = (analyser: Analyser, position: number, message: string, rule = 'unknown-name'): void => {
  analyser.mistakes.push({ position, message, rule })
}

const unknownName = (analyser: Analyser, position: number, name: string): void => {
  const valid = rootsOf(analyser.visible.place)
  const elsewhere = isRoot(name) ? `${name} cannot be read here` : `unknown name ${JSON.stringify(name)}`
  const expected = valid.length === 1 ? valid[0] : `one of ${valid.join(', ')}`
  mistake(analyser, position, `${elsewhere}, expected ${expected}${didYouMean(name, valid)}`)
}

const readRoot = (analyser: Analyser, root: Root, position: number, steps: readonly Step[]): void => {
  const { visible } = analyser
  if (visible.isPublic && originOf(root) === 'identity') {
    return mistake(analyser, position, `a public route has no ${root}: nobody is authenticated`)
  }
  const computed = steps.findIndex((step) => step.key === null)
  const known = computed === -1 ? steps : steps.slice(0, computed)
  const keys = known.map((step) => step.key ?? '')
  const members = membersOf(root, visible)
  const [first] = known
  if (members !== null && first === undefined && root !== 'path') {
    const example = members[0] === undefined ? '' : `, such as ${root}.${members[0]}`
    return mistake(analyser, position, `${root} must be read by a literal name${example}`)
  }
  if (members !== null && first !== undefined && !members.includes(keys[0] ?? '')) {
    return unknownMember(analyser, root, keys[0] ?? '', members, first.position)
  }
  if (root === 'request' && keys[0] === 'posture') checkPosture(analyser, position, known[1])
  if (root === 'request' && keys[0] === 'headers') checkHeader(analyser, position, known[1])
  analyser.reads.push(toRead(root, keys))
}

const membersOf = (root: Root, visible: Visible): readonly string[] | null => {
  if (root === 'path') return visible.captures
  if (root === 'secrets') return visible.secrets
  return ROOTS.get(root)?.members ?? null
}

const unknownMember = (
  analyser: Analyser,
  root: Root,
  name: string,
  members: readonly string[],
  position: number,
): void => {
  const found = `${root} has no ${JSON.stringify(name)}`
  const there = members.length === 0 ? 'nothing' : members.join(', ')
  const what = root === 'path' ? 'the captures of this route' : root
  mistake(analyser, position, `${found}: ${what} has ${there}${didYouMean(name, members)}`)
}

const checkHeader = (analyser: Analyser, position: number, step: Step | undefined): void => {
  if (step === undefined || step.key === null) {
    const example = 'such as request.headers["x-tenant"]'
    return mistake(analyser, position, `request.headers must be read by a literal name, ${example}`)
  }
  const lower = step.key.toLowerCase()
  if (step.key !== lower) {
    const message = `header names are in lower case here; did you mean ${JSON.stringify(lower)}?`
    return mistake(analyser, step.position, message)
  }
  const instead = lower.startsWith('sallyport-')
    ? 'Sallyport takes it from every request'
    : analyser.visible.unreadableHeaders.get(lower)
  if (instead !== undefined) {
    mistake(analyser, step.position, `${lower} cannot be read: ${instead}`, 'unreadable-header')
  }
}

/** A name with a slip in it would be a header that anybody can send. */
const checkPosture = (analyser: Analyser, position: number, step: Step | undefined): void => {
  const { posture } = analyser.visible
  const there =
    posture.length === 0 ? 'none of the trustedProxies of any listener lists one' : posture.join(', ')
  if (step === undefined || step.key === null) {
    return mistake(analyser, position, `request.posture must be read by a literal name: ${there}`)
  }
  const { key } = step
  if (posture.includes(key)) return
  const hint = didYouMean(key.toLowerCase(), posture)
  mistake(analyser, step.position, `request.posture has no ${JSON.stringify(key)}: ${there}${hint}`)
}

const visitCall = (
  analyser: Analyser,
  ast: ASTNode,
  name: string,
  args: readonly ASTNode[],
  bound: Bound,
): void => {
  if (!FUNCTION_NAMES.has(name)) {
    return mistake(analyser, ast.pos, `unknown function ${name}${didYouMean(name, FUNCTION_NAMES)}`)
  }
  // Its parser backtracks over the text that it is given.
  if (name === 'duration' && args[0] !== undefined && literalText(args[0]) === null) {
    mistake(analyser, args[0].start, 'duration takes a literal, such as duration("5m")', 'expression')
  }
  for (const arg of args) visit(analyser, arg, bound)
}

const visitMethod = (
  analyser: Analyser,
  ast: ASTNode,
  [name, receiver, args]: readonly [string, ASTNode, readonly ASTNode[]],
  bound: Bound,
): void => {
  if (!METHOD_NAMES.has(name)) {
    return mistake(analyser, ast.pos, `unknown function ${name}${didYouMean(name, METHOD_NAMES)}`)
  }
  visit(analyser, receiver, bound)
  const [first] = args
  if (name === 'json') {
    mistake(analyser, ast.pos, 'json() is not available: it would accept duplicate keys', 'expression')
  }
  if (name === 'matches' && first !== undefined) return checkPattern(analyser, first)
  if (COMPREHENSIONS.get(name)?.includes(args.length)) {
    const inner = bind(analyser, first, bound)
    for (const arg of args.slice(1)) visit(analyser, arg, inner)
    return
  }
  if (name === 'bind' && args.length === 3) {
    if (args[1] !== undefined) visit(analyser, args[1], bound)
    if (args[2] !== undefined) visit(analyser, args[2], bind(analyser, first, bound))
    return
  }
  for (const arg of args) visit(analyser, arg, bound)
}

const bind = (analyser: Analyser, variable: ASTNode | undefined, bound: Bound): Bound => {
  if (variable?.op !== 'id') return bound
  const name = variable.args
  if (isRoot(name) || CEL_CONSTANTS.has(name)) {
    mistake(analyser, variable.pos, `${name} already has a meaning; choose another name`, 'expression')
  }
  return new Set([...bound, name])
}

const checkPattern = (analyser: Analyser, pattern: ASTNode): void => {
  const text = literalText(pattern)
  if (text === null) {
    return mistake(analyser, pattern.start, 'matches takes a literal pattern', 'pattern')
  }
  const problem = patternProblem(text)
  if (problem !== null) mistake(analyser, pattern.start, `the pattern is unsafe: ${problem}`, 'pattern')
}

const visitMap = (
  analyser: Analyser,
  entries: readonly (readonly [ASTNode, ASTNode])[],
  bound: Bound,
): void => {
  for (const [key, value] of entries) {
    const name = literalText(key)
    if (name === null) mistake(analyser, key.start, 'keys of a map must be literal strings', 'expression')
    else if (POISONOUS_KEYS.has(name)) {
      mistake(analyser, key.start, `${name} cannot be a key here`, 'expression')
    }
    visit(analyser, value, bound)
  }
}
