import type { Cors } from './cors.ts'
import type { Requirement } from './requirement.ts'
import type { StreamRules, TaskRules } from './stream.ts'

/** What every stage knows of a route; each stage keeps its own compiled part by `index`. */
export interface Route {
  /** Position in the configuration's list of routes. */
  readonly index: number
  readonly name: string
  readonly owner: string
  readonly access: 'public' | 'protected'
  /** `observe`: decided and recorded, but a deny is forwarded. */
  readonly mode: 'enforce' | 'observe'
  /** Milliseconds since the epoch, from when on `observe` is `enforce`; left out: no end. */
  readonly observeUntilMs?: number
  /** Names of the authenticators that it accepts; empty for public routes. */
  readonly authenticate: readonly string[]
  /** What the caller must have shown beyond being known; left out: nothing more. */
  readonly require?: Requirement
  /** Empty for public routes; the names of several are joined by ` + `, which no name holds. */
  readonly engine: string
  /** When there are several: that of the gateway's `baseline` first. */
  readonly engines?: readonly string[]
  readonly upstream: string
  /** An engine that is asked too, for the record only. */
  readonly shadow?: string
  /** The path of an endpoint that authenticators answer themselves; left out: it is none. */
  readonly endpoint?: string
  /** How its streams live on; left out: by the defaults. */
  readonly stream?: StreamRules
  /** Left out: any task, for an hour. */
  readonly task?: TaskRules
  /** Left out: the gateway leaves CORS to the application. */
  readonly cors?: Cors
}

/** Names of the engines that a route asks. */
export const enginesOf = ({ engine, engines }: Pick<Route, 'engine' | 'engines'>): readonly string[] =>
  engines ?? (engine === '' ? [] : [engine])

/** What a route says of the engines that it asks, in that order; null is none. */
export const askedEngines = (names: readonly (string | null)[]): Pick<Route, 'engine' | 'engines'> => {
  const engines = [...new Set(names.filter((name) => name !== null))]
  return { engine: engines.join(' + '), ...(engines.length < 2 ? {} : { engines }) }
}

/** A public route that the gateway answers itself; there is no upstream behind it. */
export const builtInRoute = (name: string): Route => ({
  index: -1,
  name,
  owner: 'sallyport',
  access: 'public',
  mode: 'enforce',
  authenticate: [],
  engine: '',
  upstream: '',
})
