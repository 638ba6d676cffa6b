import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { isAuthorized } from '@cedar-policy/cedar-wasm/nodejs'
import fc from 'fast-check'
import { askOne, createCedar, question } from './cedar-world.ts'

const ids = ['a', 'b', 'c', 'd', 'e', 'f']
const id = fc.constantFrom(...ids)
const reference = id.map((of) => ({ __entity: { type: 'User', id: of } }))
const value = fc.oneof(
  reference,
  fc.array(reference, { maxLength: 2 }),
  fc.record({ deep: reference }),
  fc.integer({ min: 0, max: 2 }),
)

const entity = (of: string, position: number) =>
  fc.record({
    uid: fc.constant({ type: 'User', id: of }),
    attrs: fc.dictionary(fc.constantFrom('p', 'q'), value, { noNullPrototype: true }),
    // Later ones only: parents must not go round.
    parents: fc
      .subarray(ids.slice(position + 1))
      .map((found) => found.map((parent) => ({ type: 'User', id: parent }))),
    tags: fc.dictionary(fc.constantFrom('t'), reference, { noNullPrototype: true }),
  })

const { expression } = fc.letrec<{ expression: string }>((tie) => ({
  expression: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom('principal', 'resource', 'action', 'context.x', 'context.y'),
    id.map((of) => `User::"${of}"`),
    fc
      .tuple(tie('expression'), fc.constantFrom('p', 'q', 'deep', 'mine'))
      .map(([from, name]) => `${from}.${name}`),
    tie('expression').map((from) => `${from}.getTag("t")`),
    fc
      .tuple(tie('expression'), tie('expression'))
      .map(([left, right]) => `(if ${left} in ${right} then ${right} else ${left})`),
  ),
}))

const condition = fc.oneof(
  fc
    .tuple(expression, fc.constantFrom('==', '!=', 'in'), expression)
    .map(([left, operator, right]) => `${left} ${operator} ${right}`),
  fc.tuple(expression, id, id).map(([left, one, two]) => `${left} in [User::"${one}", User::"${two}"]`),
  fc.tuple(expression, expression).map(([list, member]) => `[${list}, User::"a"].contains(${member})`),
  fc.tuple(expression, id).map(([from, of]) => `${from} is User in User::"${of}"`),
  fc.tuple(expression, fc.constantFrom('p', 'q')).map(([from, name]) => `${from} has ${name}`),
)

describe('the entities that Cedar is given', () => {
  it('are enough: it answers as if it were given all of them', () => {
    const scene = fc.record({
      entities: fc.tuple(...ids.map(entity)).chain((all) => fc.subarray(all)),
      policies: fc.array(fc.tuple(fc.constantFrom('permit', 'forbid'), condition), {
        minLength: 1,
        maxLength: 3,
      }),
      principal: id,
      resource: id,
      // What the request alone knows, and the file may know more of.
      mine: fc.option(reference, { nil: undefined }),
      context: fc.record({ x: reference, y: value }),
    })
    fc.assert(
      fc.property(scene, ({ entities, policies, principal, resource: resourceId, mine, context }) => {
        const texts = policies.map(
          ([effect, when]) => `${effect} (principal, action, resource) when { ${when} };`,
        )
        const resource = { type: mine === undefined ? 'User' : 'Thing', id: resourceId }
        const properties = mine === undefined ? {} : { mine }
        const answer = askOne(
          createCedar(
            { '/p/a.cedar': texts.join('\n'), '/p/e.json': JSON.stringify(entities) },
            { entities: '/p/e.json' },
          ),
          question({
            subject: { type: 'User', id: principal },
            resource: { ...resource, properties },
            context,
          }),
        )
        const full = isAuthorized({
          principal: { type: 'User', id: principal },
          action: { type: 'Action', id: 'read' },
          resource,
          context,
          policies: {
            staticPolicies: Object.fromEntries(texts.map((text, index) => [`a.cedar#${index + 1}`, text])),
          },
          entities: [
            ...entities,
            ...(mine === undefined ? [] : [{ uid: resource, attrs: properties, parents: [] }]),
          ],
        })
        assert.ok(full.type === 'success')
        const { reason, errors } = full.response.diagnostics
        const failed = errors.map(({ policyId, error }) => `${policyId}: ${error.message}`)
        assert.deepEqual(answer.errors, [...failed].sort())
        if (failed.length === 0)
          assert.deepEqual([answer.decision, answer.reasons], [full.response.decision, [...reason].sort()])
      }),
      { numRuns: 150 },
    )
  })
})
