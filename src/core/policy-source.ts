/** A policy as it is written, for whoever has to read it. */
export interface PolicySource {
  readonly id: string
  readonly effect: 'permit' | 'forbid'
  readonly text: string
  readonly file: string
  readonly line: number
}

/** A policy that would have allowed a request, had its conditions held. */
export interface NearPolicy extends PolicySource {
  /** Those that did not hold, as they are written. */
  readonly unmet: readonly string[]
}
