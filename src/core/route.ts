/** What every stage knows of a route; each stage keeps its own compiled part by `index`. */
export interface Route {
  /** Position in the configuration's list of routes. */
  readonly index: number
  readonly name: string
  readonly owner: string
  readonly access: 'public' | 'protected'
  readonly mode: 'enforce' | 'observe'
  /** Names of the authenticators that it accepts; empty for public routes. */
  readonly authenticate: readonly string[]
  /** Empty for public routes. */
  readonly engine: string
  readonly upstream: string
}
