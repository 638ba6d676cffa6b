/** A mistake in a configuration entry, placed by the path of keys from that entry. */
export interface Problem {
  readonly path: readonly (string | number)[]
  readonly message: string
  /** Stable id of the rule, such as `unknown-engine`; defaults to `invalid`. */
  readonly rule?: string
  /** Default: an error, with which nothing is served. */
  readonly severity?: 'warning'
  /** Points at the key instead of its value. */
  readonly atKey?: boolean
  /** Characters from the start of the value's text, for a mistake inside an expression. */
  readonly offset?: number
}

/** A mistake at its place in a file. `line` and `column` count from 1. */
export interface Finding {
  readonly severity: 'error' | 'warning' | 'info'
  readonly rule: string
  readonly file: string
  readonly line: number
  readonly column: number
  readonly message: string
}
