import type { Problem } from '../../core/problem.ts'
import type { Part } from '../parse-part.ts'
import type { Lintable } from './lintable.ts'

/** Something a reviewer should see, placed in the file where it is written. */
export interface LintNote {
  readonly part: Pick<Part, 'source' | 'path'>
  /** From `part` on; default: the part itself. */
  readonly path?: Problem['path']
  readonly atKey?: boolean
  readonly offset?: number
  readonly message: string
}

/** Looks at a configuration in which nothing is wrong. `docs/lint/<id>.md` tells what it finds and how to mend it. */
export interface LintRule {
  readonly id: string
  readonly find: (lintable: Lintable, tell: (note: LintNote) => void) => void
}
