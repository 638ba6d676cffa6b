import { type Policy, type Schema, validate } from '@cedar-policy/cedar-wasm/nodejs'
import type { Finding } from '../../../core/problem.ts'
import { cedarFindings, type FindingKind, type Piece, type Report } from './cedar-findings.ts'
import type { CedarPolicy } from './cedar-policies.ts'

const VALIDATE: FindingKind = { rule: 'cedar-validate', severity: 'error' }
const VALIDATE_WARNING: FindingKind = { rule: 'cedar-validate', severity: 'warning' }

/** The policies as Cedar wants them, so that its answers name our ids. */
export const staticPolicies = (policies: readonly CedarPolicy[]): Record<string, Policy> =>
  // Not by assignment: an id may be `__proto__`. A link is given as the policy that it makes.
  Object.fromEntries(policies.map(({ id, text, json, template }) => [id, template === null ? text : json]))

/** Reports every policy and template that does not fit the schema (strict), at its place. */
export const validatePolicies = (
  policies: readonly CedarPolicy[],
  templates: readonly CedarPolicy[],
  schema: Schema,
  report: Report,
): void => {
  const all = [...templates, ...policies]
  const texts = Object.fromEntries(templates.map(({ id, text }) => [id, text]))
  const answer = validate({
    schema,
    policies: { staticPolicies: staticPolicies(policies), templates: texts },
  })
  const [first] = all
  if (answer.type === 'failure') {
    if (first !== undefined)
      cedarFindings(answer.errors, { ...first.piece, text: '' }, VALIDATE).forEach(report)
    return
  }
  const byId = new Map(all.map((policy) => [policy.id, policy]))
  const files = [...new Set(all.map(({ piece }) => piece.file))]
  const wrong = new Set(answer.validationErrors.map(({ policyId }) => policyId))
  // A wrong name in a policy also makes it one that never applies: that is told once.
  const warnings = answer.validationWarnings.filter(({ policyId }) => !wrong.has(policyId))
  const doubtful = new Set([...wrong, ...warnings.map(({ policyId }) => policyId)])
  const findings = [
    ...answer.validationErrors.map((found) => ({ ...found, kind: VALIDATE })),
    ...warnings.map((found) => ({ ...found, kind: VALIDATE_WARNING })),
  ].flatMap(({ policyId, error, kind }) => {
    const policy = byId.get(policyId)
    // What is wrong with a template is wrong with all of its links.
    if (policy === undefined || doubtful.has(policy.template ?? '')) return []
    return cedarFindings([error], placed(policy), kind)
  })
  // Cedar tells them in no order, and some of them twice.
  const place = ({ file, line, column }: Finding): number => (files.indexOf(file) * 1e6 + line) * 1e6 + column
  const different = new Map(findings.map((finding) => [JSON.stringify(finding), finding]))
  for (const finding of [...different.values()].sort((left, right) => place(left) - place(right)))
    report(finding)
}

/** What Cedar tells of a link it tells by places in a text that nobody wrote. */
const placed = ({ piece, template }: CedarPolicy): Piece =>
  template === null ? piece : { ...piece, text: '' }
