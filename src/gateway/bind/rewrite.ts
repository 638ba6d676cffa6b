import { canonicalTarget, isNotCanonical, type PathNeeds } from '../../core/canonical-target.ts'
import type { CanonicalRequest } from '../../core/request.ts'
import { blame, type Read } from './reads.ts'
import { fail, type Scope } from './scope.ts'
import { type Compilation, compileText } from './template.ts'

export interface Rewrite {
  readonly reads: readonly Read[]
  /** The request target for the upstream; undefined when `scope.failure` says why there is none. */
  readonly render: (scope: Scope, request: CanonicalRequest) => string | undefined
}

/**
 * Compiles a rewrite.
 *
 * In its expressions every string that a caller could have chosen is percent-encoded, so that it stays one
 * segment or one value of a query; the tail of a path keeps its slashes. The result is checked like a request's
 * target, and must be canonical already. The request's query stays, unless the rewrite has one of its own.
 */
export const compileRewrite = (text: string, compilation: Compilation): Rewrite => {
  const at = ['rewrite']
  const template = compileText(text, at, compilation)
  if (template.constant !== null) {
    const problem = targetProblem(template.constant, NOTHING_UNUSUAL)
    if (problem !== null) compilation.report({ path: at, message: `the rewrite ${problem}`, rule: 'mapping' })
  }
  const code = blame(template.reads.map((read) => read.root))
  return {
    reads: template.reads,
    render: (scope, request) => {
      const target = template.render(scope)
      if (target === undefined) return fail(scope, code, 'rewrite: there is no value')
      const needs = needsOf(request.path)
      const problem = targetProblem(target, needs)
      if (problem !== null) return fail(scope, 'bad_request', `rewrite: the result ${problem}`)
      if (!target.includes('?')) return target + request.query
      // Captures with parameters hold what separates the keys of a query.
      return needs.pathParameters && template.constant === null
        ? fail(scope, 'bad_request', 'rewrite: a path with a semicolon cannot be made into a query')
        : target
    },
  }
}

const NOTHING_UNUSUAL: PathNeeds = { encodedSlash: false, pathParameters: false }

// Only a route that takes these has let such a request come this far.
const needsOf = (path: string): PathNeeds => ({
  encodedSlash: path.includes('%2F'),
  pathParameters: path.includes(';') || path.includes('%3B'),
})

const targetProblem = (target: string, allowed: PathNeeds): string | null => {
  const canonical = canonicalTarget(target)
  if (isNotCanonical(canonical)) return `has ${canonical.reason}`
  if (canonical.path + canonical.query !== target) return 'is not in canonical form'
  if (canonical.needs.encodedSlash && !allowed.encodedSlash) return 'has an encoded slash'
  return canonical.needs.pathParameters && !allowed.pathParameters ? 'has a semicolon' : null
}
