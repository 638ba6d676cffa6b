import type { Said } from '../../core/decision.ts'

/** As `Said`, of which any part may be undefined. */
type Unfinished = { readonly [Key in keyof Said]: Said[Key] | undefined }

/** What an answer says beside its decision, as far as it says it. */
export const saidBeside = ({
  adminReason,
  userReason,
  engineDecisionId,
  advice = [],
  templates = [],
}: Unfinished): Said => ({
  ...(adminReason === undefined ? {} : { adminReason }),
  ...(userReason === undefined ? {} : { userReason }),
  ...(engineDecisionId === undefined ? {} : { engineDecisionId }),
  ...(advice.length === 0 ? {} : { advice: sortedUnique(advice) }),
  ...(templates.length === 0 ? {} : { templates: sortedUnique(templates) }),
})

/** What several answers say: the caller is told the first reason, operators all. */
export const saidTogether = (answers: readonly Said[]): Said => {
  const [first] = answers
  if (first === undefined || answers.length === 1) return saidBeside(first ?? {})
  const joined = (texts: readonly (string | undefined)[]): string | undefined =>
    sortedUnique(texts.filter((text) => text !== undefined)).join('; ') || undefined
  return saidBeside({
    adminReason: joined(answers.map(({ adminReason }) => adminReason)),
    userReason: answers.find(({ userReason }) => userReason !== undefined)?.userReason,
    engineDecisionId: joined(answers.map(({ engineDecisionId }) => engineDecisionId)),
    advice: answers.flatMap(({ advice = [] }) => advice),
    templates: answers.flatMap(({ templates = [] }) => templates),
  })
}

const NONE: readonly string[] = Object.freeze([])
const MOST_SHARED = 1000
const MOST_CHARACTERS = 200
const singles = new Map<string, readonly string[]>()

/** Frozen. A list of one short text is the same object each time: a hundred thousand grants may have one reason. */
export const sortedUnique = (texts: readonly string[]): readonly string[] => {
  const [first] = texts
  if (first === undefined) return NONE
  if (texts.length > 1) return Object.freeze([...new Set(texts)].sort())
  const known = singles.get(first)
  if (known !== undefined) return known
  const single = Object.freeze([first])
  if (first.length > MOST_CHARACTERS) return single
  if (singles.size >= MOST_SHARED) singles.clear()
  singles.set(first, single)
  return single
}
