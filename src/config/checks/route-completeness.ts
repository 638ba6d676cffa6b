import { checkCors } from '../../gateway/enforce/cors-config.ts'
import type { RouteDraft } from '../route-drafts.ts'

const NEEDED = [
  { key: 'upstream', of: 'a route' },
  { key: 'engine', of: 'a protected route' },
  { key: 'authenticate', of: 'a protected route' },
] as const

const UNUSED_IF_PUBLIC = ['engine', 'engines', 'authenticate', 'require', 'grant', 'shadow'] as const

/** Reports what a route needs and neither it nor its file's defaults say, and what a public route says in vain. */
export const checkCompleteness = ({ route, engines, entry, report }: RouteDraft): void => {
  const isPublic = route.access === 'public'
  if (entry.cors !== undefined) {
    for (const problem of checkCors(entry.cors)) report({ ...problem, path: ['cors', ...problem.path] })
  }
  for (const { key, of } of NEEDED) {
    const said = key === 'engine' ? engines : route[key]
    if (said.length > 0 || (isPublic && key !== 'upstream')) continue
    report({
      path: [],
      rule: 'missing-key',
      message: `missing key "${key}": ${of} has it, or the defaults of its file`,
    })
  }
  if (!isPublic) return
  for (const key of UNUSED_IF_PUBLIC) {
    if (entry[key] === undefined) continue
    const message = `found ${key} on a public route, expected none: nobody is asked`
    report({ path: [key], rule: 'public-route', message, atKey: true })
  }
}
