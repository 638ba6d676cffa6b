import type { AccessRequest, Subject } from '../../../core/access-request.ts'
import type { Identity } from '../../../core/identity.ts'
import { entityName } from '../revocations/mark.ts'
import type { GrantFacts } from '../revocations/mark-table.ts'

/** What marks can be about, of the decision that is kept by this id. */
export const grantFacts = (
  id: string,
  { subject, credential }: Pick<Identity, 'subject' | 'credential'>,
  accessRequests: readonly AccessRequest[],
  task?: string,
): GrantFacts => {
  const resources = accessRequests.map(({ resource }) => entityName(resource))
  return {
    id,
    subject: subjectName(subject),
    credential: credential.id,
    ...(credential.session === undefined ? {} : { session: credential.session }),
    ...(task === undefined ? {} : { task }),
    resources: resources.length === 1 ? resources : [...new Set(resources)],
  }
}

// A verified subject serves many requests, and is never changed.
const subjectNames = new WeakMap<Subject, string>()

const subjectName = (subject: Subject): string => {
  const known = subjectNames.get(subject)
  if (known !== undefined) return known
  const name = entityName(subject)
  subjectNames.set(subject, name)
  return name
}
