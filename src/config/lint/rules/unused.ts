import { enginesOf } from '../../../core/route.ts'
import type { Entry } from '../../read-gateway.ts'
import type { LintNote, LintRule } from '../lint-rule.ts'
import type { Lintable } from '../lintable.ts'

const findUnused =
  (
    kind: string,
    entriesOf: (lintable: Lintable) => ReadonlyMap<string, Pick<Entry<unknown>, 'part'>>,
    usedBy: (lintable: Lintable) => readonly string[],
    consequence: string,
  ) =>
  (lintable: Lintable, tell: (note: LintNote) => void): void => {
    const used = new Set(usedBy(lintable))
    for (const [name, { part }] of entriesOf(lintable)) {
      if (used.has(name)) continue
      const message = `no route uses the ${kind} ${JSON.stringify(name)}; ${consequence}`
      tell({ part, atKey: true, message })
    }
  }

/** An authenticator that no route accepts, and no listener: its carriers are still taken from callers. */
export const unusedAuthenticator: LintRule = {
  id: 'unused-authenticator',
  find: findUnused(
    'authenticator',
    ({ gateway }) => gateway.authenticators,
    ({ gateway, routes }) => [
      ...(gateway.unmatched ?? []),
      ...gateway.listeners.flatMap(({ value }) => value.authenticate ?? []),
      ...routes.flatMap(({ configured }) => configured.route.authenticate),
    ],
    'what it takes is removed from every request all the same',
  ),
}

/** An engine that no route asks, and no listener. */
export const unusedEngine: LintRule = {
  id: 'unused-engine',
  find: findUnused(
    'engine',
    ({ gateway }) => gateway.engines,
    ({ gateway, routes }) => [
      gateway.baseline ?? '',
      ...gateway.listeners.map(({ value }) => value.engine ?? ''),
      ...routes.flatMap(({ configured: { route } }) => [...enginesOf(route), route.shadow ?? '']),
    ],
    'its policies decide nothing',
  ),
}

/** An upstream to which nothing is forwarded. */
export const unusedUpstream: LintRule = {
  id: 'unused-upstream',
  find: findUnused(
    'upstream',
    ({ gateway }) => gateway.upstreams,
    ({ routes }) => routes.map(({ configured }) => configured.route.upstream),
    'nothing is forwarded to it',
  ),
}
