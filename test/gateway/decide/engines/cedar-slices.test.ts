import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type EntityJson, isAuthorized } from '@cedar-policy/cedar-wasm/nodejs'
import fc from 'fast-check'
import type { AccessRequest } from '../../../../src/core/access-request.ts'
import { askOne, createCedar, prepareCedar, prepareManyCedar } from './cedar-world.ts'

const USERS = ['u1', 'u2', 'u3']
const GROUPS = ['g1', 'g2', 'g3']
const ACTIONS = ['read', 'write', 'pay']

const effect = fc.oneof({ weight: 5, arbitrary: fc.constant('permit') }, fc.constant('forbid'))
const principalScope = fc.oneof(
  fc.constant('principal'),
  fc.constantFrom('User', 'Robot').map((type) => `principal is ${type}`),
  fc.constantFrom(...USERS).map((id) => `principal == User::"${id}"`),
  fc.constantFrom(...GROUPS).map((id) => `principal in Group::"${id}"`),
  fc.constantFrom(...USERS).map((id) => `principal in User::"${id}"`),
  fc.constantFrom(...GROUPS).map((id) => `principal is User in Group::"${id}"`),
)
const actionScope = fc.oneof(
  fc.constant('action'),
  fc.constantFrom(...ACTIONS).map((id) => `action == Action::"${id}"`),
  fc.constantFrom(...ACTIONS, 'all').map((id) => `action in Action::"${id}"`),
  fc.subarray([...ACTIONS, 'all'], { minLength: 1 }).map((ids) => {
    return `action in [${ids.map((id) => `Action::"${id}"`).join(', ')}]`
  }),
)
const resourceScope = fc.oneof(
  fc.constant('resource'),
  fc.constantFrom('Account', 'Doc').map((type) => `resource is ${type}`),
  fc.constantFrom('r1', 'r2').map((id) => `resource == Account::"${id}"`),
  fc.constantFrom('f1', 'f2').map((id) => `resource in Folder::"${id}"`),
  fc.constantFrom('f1', 'f2').map((id) => `resource is Doc in Folder::"${id}"`),
)
const condition = fc.constantFrom(
  '',
  'when { resource.owner == principal }',
  'when { principal.missing == 1 }',
  'unless { context.level > 1 }',
  'when { context.level like "x" }',
  'when { principal in resource.editors }',
  'when { User::"u2" in Group::"g3" }',
  'when { 1 + context.level == 2 }',
)
/** A template, whose slots are filled as the scopes of policies are. */
const template = fc
  .tuple(
    effect,
    fc.constantFrom('principal == ?principal', 'principal in ?principal', 'principal is User in ?principal'),
    fc.oneof({ weight: 3, arbitrary: fc.constant('action') }, actionScope),
    fc.constantFrom(
      'resource',
      'resource == ?resource',
      'resource in ?resource',
      'resource is Doc in ?resource',
    ),
    fc.oneof({ weight: 2, arbitrary: fc.constant('') }, condition),
  )
  .map(([what, ...parts]) => `${what} (${parts.slice(0, 3).join(', ')}) ${parts[3]};`)
const link = fc.record({
  of: fc.nat({ max: 2 }),
  principal: fc.constantFrom('User::"u1"', 'User::"u2"', 'Group::"g2"', 'Group::"g3"'),
  resource: fc.constantFrom('Account::"r1"', 'Doc::"d1"', 'Folder::"f1"', 'Folder::"f2"'),
})
const linked = fc.record({
  templates: fc.array(template, { minLength: 3, maxLength: 3 }),
  links: fc.array(link, { minLength: 10, maxLength: 20 }),
})

const policy = fc
  .tuple(effect, principalScope, actionScope, resourceScope, condition)
  .map(([what, ...parts]) => `${what} (${parts.slice(0, 3).join(', ')}) ${parts[3]};`)

const request = fc.record({
  subject: fc.record({
    type: fc.constantFrom('User', 'Robot', 'Group'),
    id: fc.constantFrom(...USERS, 'g1', 'nobody'),
  }),
  action: fc.record({ name: fc.constantFrom(...ACTIONS, 'all', 'other') }),
  resource: fc.record({
    type: fc.constantFrom('Account', 'Doc', 'Folder'),
    id: fc.constantFrom('r1', 'r2', 'd1', 'f1', 'nothing'),
  }),
  context: fc.constantFrom<AccessRequest['context']>({}, { level: 1 }, { level: 2 }, { level: 'x' }),
})

const uid = (type: string, id: string) => ({ type, id })
const entity = (type: string, id: string, parents: EntityJson['parents'] = [], attrs = {}): EntityJson => ({
  uid: uid(type, id),
  attrs,
  parents,
})
const ENTITIES: EntityJson[] = [
  entity('User', 'u1', [uid('Group', 'g1')]),
  entity('User', 'u2', [uid('Group', 'g2')]),
  entity('Group', 'g1', [uid('Group', 'g2')]),
  // Whose parent is not in the file itself.
  entity('Group', 'g2', [uid('Group', 'g3')]),
  entity('Account', 'r1', [uid('Folder', 'f1')], {
    owner: { __entity: uid('User', 'u1') },
    editors: { __entity: uid('Group', 'g2') },
  }),
  entity('Doc', 'd1', [uid('Folder', 'f2')]),
  entity('Folder', 'f2', [uid('Folder', 'f1')]),
  entity('Action', 'read', [uid('Action', 'all')]),
  entity('Action', 'write', [uid('Action', 'all')]),
]

interface Linked {
  readonly templates: readonly string[]
  readonly links: readonly { readonly of: number; readonly principal: string; readonly resource: string }[]
}

const hasResource = ({ templates }: Pick<Linked, 'templates'>, of: number): boolean =>
  templates[of]?.includes('?resource') === true

const uidIn = (text: string) => {
  const [type = '', id = ''] = text.split('::')
  return uid(type, id.slice(1, -1))
}

/** What Cedar says when it is given every policy, template, link and entity. */
const unsliced = (
  texts: readonly string[],
  { templates, links }: Linked,
  { subject, action, resource, context }: AccessRequest,
) => {
  const templateOf = new Map(links.map(({ of }, index) => [`l${index}`, templates[of] ?? '']))
  const staticPolicies = Object.fromEntries(texts.map((text, index) => [`a.cedar#${index + 1}`, text]))
  const answer = isAuthorized({
    principal: uid(subject.type, subject.id),
    action: uid('Action', action.name),
    resource: uid(resource.type, resource.id),
    // JSON is what Cedar takes; its own type has the arrays mutable.
    context: context as Parameters<typeof isAuthorized>[0]['context'],
    policies: {
      staticPolicies,
      templates: Object.fromEntries(templates.map((text, index) => [`t${index}`, text])),
      templateLinks: links.map(({ of, principal, resource }, index) => ({
        templateId: `t${of}`,
        newId: `l${index}`,
        values: {
          '?principal': uidIn(principal),
          ...(hasResource({ templates }, of) && { '?resource': uidIn(resource) }),
        },
      })),
    },
    entities: ENTITIES,
  })
  assert.equal(answer.type, 'success')
  if (answer.type !== 'success') throw new Error('unreachable')
  const { decision, diagnostics } = answer.response
  const failed = diagnostics.errors.map(({ policyId }) => policyId)
  const failedForbids = failed.filter((id) => {
    return (staticPolicies[id] ?? templateOf.get(id) ?? '').startsWith('forbid')
  })
  const counted = decision === 'deny' || failedForbids.length === 0 ? diagnostics.reason : []
  return {
    decision: decision === 'deny' || failedForbids.length > 0 ? 'deny' : 'allow',
    reasons: [...new Set([...counted, ...failedForbids])].sort(),
    errors: diagnostics.errors.map(({ policyId, error }) => `${policyId}: ${error.message}`).sort(),
  }
}

describe('a slice of the policies', () => {
  it('answers as all of them do, with the same reasons and errors', () => {
    const policies = fc.array(policy, { minLength: 33, maxLength: 60 })
    const requests = fc.array(request, { minLength: 10, maxLength: 10 })
    let allows = 0
    let errors = 0
    let ofLinks = 0
    fc.assert(
      fc.property(policies, linked, requests, (texts, more, asked) => {
        const files = {
          '/p/a.cedar': texts.join('\n'),
          '/p/t.cedar': more.templates.map((text, index) => `@id("t${index}") ${text}`).join('\n'),
          '/p/e.json': JSON.stringify(ENTITIES),
          '/l/l.json': JSON.stringify({
            links: more.links.map(({ of, principal, resource }, index) => ({
              id: `l${index}`,
              template: `t${of}`,
              principal,
              ...(hasResource(more, of) && { resource }),
            })),
          }),
        }
        const config = { entities: '/p/e.json', links: ['/l/*.json'] }
        const { findings, create } = prepareCedar(files, config, 'sliced')
        assert.deepEqual(
          findings.filter(({ severity }) => severity === 'error'),
          [],
        )
        const engine = create()
        for (const one of asked) {
          const { decision, reasons, errors: found } = askOne(engine, one)
          const flat = found.map((text) => text.replace(/\s+/g, ' ').trim())
          const expected = unsliced(texts, more, one)
          const expectedErrors = expected.errors.map((text) => text.replace(/\s+/g, ' ').trim())
          assert.deepEqual(
            { decision, reasons, errors: flat },
            { ...expected, errors: [...new Set(expectedErrors)].sort() },
          )
          ofLinks += reasons.some((id) => id.startsWith('l')) ? 1 : 0
          allows += decision === 'allow' ? 1 : 0
          errors += found.length
        }
        engine.close?.()
      }),
      { numRuns: 40 },
    )
    assert.ok(
      allows > 10 && errors > 10 && ofLinks > 0,
      `${allows} allows, ${errors} errors, ${ofLinks} by links`,
    )
  })

  it('is a few policies, whatever the number of others', async () => {
    const texts = Array.from(
      { length: 2000 },
      (_, number) =>
        `@id("p${number}") permit (principal == User::"u${number}", action == Action::"read", resource is Account);`,
    )
    const { findings, create } = await prepareManyCedar({ '/p/a.cedar': texts.join('\n') }, {}, 'many')
    assert.deepEqual(findings, [])
    const engine = create()
    // More slices than there are places for, each seen twice.
    for (const round of [1, 2]) {
      for (let number = 0; number < 1200; number += 1) {
        const { decision, reasons } = askOne(engine, {
          subject: { type: 'User', id: `u${number}` },
          action: { name: 'read' },
          resource: { type: 'Account', id: '1' },
          context: {},
        })
        assert.deepEqual([round, decision, reasons], [round, 'allow', [`p${number}`]])
      }
    }
    engine.close?.()
  })
})

describe('annotations of policies', () => {
  const files = {
    '/p/a.cedar': `@id("a") @ttl("5s") @advice("watch") permit (principal, action, resource is Account);
@id("b") @ttl("1m") permit (principal, action, resource is Account);
@id("c") @ttl("1s") @advice("not for guests") forbid (principal is Guest, action, resource);`,
  }
  const ask = (type: string) =>
    askOne(createCedar(files), {
      subject: { type, id: 'x' },
      action: { name: 'read' },
      resource: { type: 'Account', id: '1' },
      context: {},
    })

  it('bound the life of an allow, and advise', () => {
    const { decision, ttlMs, advice } = ask('User')
    assert.deepEqual([decision, ttlMs, advice], ['allow', 5000, ['watch']])
  })

  it('advise with a deny by the policies that denied alone', () => {
    const { decision, ttlMs, advice } = ask('Guest')
    assert.deepEqual([decision, ttlMs, advice], ['deny', undefined, ['not for guests']])
  })
})
