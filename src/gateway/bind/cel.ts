import { type ASTNode, Environment, EvaluationError } from '@marcbachmann/cel-js'
import { CredentialView, RequestView, RouteView, SubjectView } from './cel-context.ts'

/** A function that is called while an expression is parsed, and says how that call is checked and evaluated. */
interface MacroCall {
  readonly args: readonly ASTNode[]
  readonly receiver: ASTNode
}
interface Checker<C> {
  readonly check: (node: ASTNode, context: C) => unknown
  readonly getType: (name: string) => unknown
}
interface Runner<C> {
  readonly run: (node: ASTNode, context: C) => unknown
}

/** The literal pattern of a `matches`, or null when it is computed. */
export const literalText = (node: ASTNode | undefined): string | null =>
  node?.op === 'value' && typeof node.args === 'string' ? node.args : null

const expandMatches = ({ args, receiver }: MacroCall) => {
  const pattern = literalText(args[0])
  const regExp = pattern === null ? null : compilePattern(pattern)
  return {
    async: false,
    typeCheck: <C>(checker: Checker<C>, _macro: unknown, context: C): unknown => {
      checker.check(receiver, context)
      return checker.getType('bool')
    },
    evaluate: <C>(runner: Runner<C>, _macro: unknown, context: C): boolean => {
      const text = runner.run(receiver, context)
      if (typeof text !== 'string' || regExp === null) {
        throw new EvaluationError({ code: 'no_such_overload', message: 'not a string', node: receiver })
      }
      return regExp.test(text)
    },
  }
}

// What is wrong with a pattern is reported by the analysis of the expression; here it must only not throw.
const compilePattern = (pattern: string): RegExp | null => {
  try {
    return new RegExp(pattern, 'u')
  } catch {
    return null
  }
}

const ARITHMETIC: ReadonlyMap<string, (left: number, right: number) => number> = new Map([
  ['+', (left, right) => left + right],
  ['-', (left, right) => left - right],
  ['*', (left, right) => left * right],
  ['/', (left, right) => left / right],
])

const createEnvironment = (): Environment => {
  const environment = new Environment({
    enableOptionalTypes: true,
    homogeneousAggregateLiterals: false,
    limits: { maxAstNodes: 2000, maxDepth: 100 },
  })
    .registerType('Request', {
      ctor: RequestView,
      fields: {
        id: 'string',
        method: 'string',
        scheme: 'string',
        host: 'string',
        path: 'string',
        query: 'map<string, string>',
        headers: 'map<string, string>',
        posture: 'map<string, string>',
        ip: 'string',
        time: 'google.protobuf.Timestamp',
        tls: 'bool',
      },
    })
    .registerType('Subject', {
      ctor: SubjectView,
      fields: { type: 'string', id: 'string', properties: 'map<string, dyn>' },
    })
    .registerType('Credential', {
      ctor: CredentialView,
      fields: {
        type: 'string',
        id: 'string',
        issuer: 'string',
        issuedAt: 'int',
        expiresAt: 'int',
        ageSeconds: 'int',
        rotationDue: 'bool',
      },
    })
    .registerType('Route', {
      ctor: RouteView,
      fields: { name: 'string', owner: 'string', mode: 'string', engine: 'string', upstream: 'string' },
    })
    .registerVariable('request', 'Request')
    .registerVariable('path', 'map<string, string>')
    .registerVariable('claims', 'map<string, dyn>')
    .registerVariable('subject', 'Subject')
    .registerVariable('credential', 'Credential')
    .registerVariable('body', 'map<string, dyn>')
    .registerVariable('route', 'Route')
    .registerVariable('secrets', 'map<string, string>')
    // The package compiles a pattern at every evaluation. A macro is chosen by name and number of arguments,
    // whatever the receiver: declared on lists, it does not collide with `matches` on strings, and replaces it.
    .registerFunction('list.matches(ast): bool', expandMatches)
  // Numbers of JSON are doubles and those of expressions are often written as integers: `body.amount + 1`.
  for (const [operator, calculate] of ARITHMETIC) {
    environment
      .registerOperator(`double ${operator} int: double`, (left: number, right: bigint) =>
        calculate(left, Number(right)),
      )
      .registerOperator(`int ${operator} double: double`, (left: bigint, right: number) =>
        calculate(Number(left), right),
      )
  }
  return environment
}

/** The one environment of all expressions; which of its variables one of them may read is checked apart. */
export const CEL = createEnvironment()

const definitions = CEL.getDefinitions().functions

/** Names that may be called as `name(…)`. */
export const FUNCTION_NAMES: ReadonlySet<string> = new Set(
  definitions.filter((definition) => definition.receiverType === null).map(({ name }) => name),
)

/** Names that may be called as `value.name(…)`. */
export const METHOD_NAMES: ReadonlySet<string> = new Set(
  definitions.filter((definition) => definition.receiverType !== null).map(({ name }) => name),
)
