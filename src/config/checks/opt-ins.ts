import type { Problem } from '../../core/problem.ts'
import type { Route } from '../../core/route.ts'

/** Something to know of a route, placed from the route on. */
export type Note = Pick<Problem, 'path' | 'message'> & { readonly rule: string }

/** What a route allows beyond the usual, in words for whoever reviews the configuration. */
const OPT_INS = [
  { key: 'allowEncodedSlash', message: 'takes %2F in path segments, which stay encoded' },
  { key: 'allowPathParameters', message: 'takes ; in path segments, which stay encoded' },
  { key: 'ignoreCase', message: 'compares paths without case' },
  { key: 'fallThrough', message: 'leaves requests that do not fit to less specific paths' },
] as const

/** Tells of a route that does not enforce: nobody should find that out from the log. */
export const tellObserve = ({ name, mode, observeUntilMs }: Route, tell: (note: Note) => void): void => {
  if (mode !== 'observe') return
  const until = observeUntilMs === undefined ? '' : ` until ${new Date(observeUntilMs).toISOString()}`
  const message = `mode: the route ${JSON.stringify(name)} forwards what its policy denies${until}`
  tell({ path: [], rule: 'observe', message })
}

type Flags = Readonly<Record<(typeof OPT_INS)[number]['key'], boolean>>

/** Lists the opt-ins of a route. */
export const listOptIns = (name: string, flags: Flags, tell: (note: Note) => void): void => {
  for (const { key, message } of OPT_INS) {
    if (flags[key])
      tell({ path: [key], rule: 'opt-in', message: `${key}: the route ${JSON.stringify(name)} ${message}` })
  }
}
