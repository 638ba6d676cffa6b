import type { Mark } from './mark.ts'
import type { GrantFacts } from './mark-table.ts'

/** True when the mark is about this grant, whenever either was made. */
export const covers = ({ kind, target }: Pick<Mark, 'kind' | 'target'>, facts: GrantFacts): boolean => {
  switch (kind) {
    case 'all':
      return true
    case 'resource':
      return facts.resources.includes(target)
    case 'grant':
      return facts.id === target
    case 'subject':
      return facts.subject === target
    case 'credential':
      return facts.credential === target
    case 'session':
      return facts.session === target
    case 'task':
      return facts.task === target
  }
}
