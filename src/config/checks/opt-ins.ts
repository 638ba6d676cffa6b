import type { Problem } from '../../core/problem.ts'

/** What a route allows beyond the usual, in words for whoever reviews the configuration. */
const OPT_INS = [
  { key: 'allowEncodedSlash', message: 'takes %2F in path segments, which stay encoded' },
  { key: 'allowPathParameters', message: 'takes ; in path segments, which stay encoded' },
  { key: 'ignoreCase', message: 'compares paths without case' },
  { key: 'fallThrough', message: 'leaves requests that do not fit to less specific paths' },
] as const

type Flags = Readonly<Record<(typeof OPT_INS)[number]['key'], boolean>>

/** Lists the opt-ins of a route. */
export const listOptIns = (
  name: string,
  flags: Flags,
  tell: (note: Pick<Problem, 'path' | 'message'> & { readonly rule: string }) => void,
): void => {
  for (const { key, message } of OPT_INS) {
    if (flags[key])
      tell({ path: [key], rule: 'opt-in', message: `${key}: the route ${JSON.stringify(name)} ${message}` })
  }
}
