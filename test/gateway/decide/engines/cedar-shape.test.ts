import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { getValidRequestEnvsPolicy, policyToJson } from '@cedar-policy/cedar-wasm/nodejs'
import fc from 'fast-check'
import { enumeratedTypes, shapeOf } from '../../../../src/gateway/decide/engines/cedar-shape.ts'

const SCHEMA = `entity Group;
entity Level enum ["low", "high"];
entity User in [Group] { name: String, level: Level, groups: Set<Group>, at: ipaddr } tags String;
entity Robot;
entity Account { owner: User };
action read, write appliesTo { principal: [User, Robot], resource: Account, context: { reason: String } };
action look appliesTo { principal: User, resource: [Account, Group] };
`

const id = fc.constantFrom('a', 'b', 'read', 'low', 'high', 'none', '1.2.3.4')
const principal = fc.oneof(
  fc.constantFrom('principal', 'principal is User', 'principal is Robot'),
  id.map((text) => `principal == User::"${text}"`),
  id.map((text) => `principal == Level::"${text}"`),
  id.map((text) => `principal is User in Group::"${text}"`),
)
const action = fc.constantFrom(
  'action',
  'action == Action::"read"',
  'action in [Action::"write", Action::"look"]',
)
const resource = fc.oneof(
  fc.constant('resource'),
  id.map((text) => `resource == Account::"${text}"`),
  id.map((text) => `resource == Group::"${text}"`),
)
const condition = fc.oneof(
  fc.constantFrom('', 'when { resource is Account }', 'unless { principal is Robot }'),
  fc.tuple(id, id).map(([one, other]) => `when { "${one}" == "${other}" }`),
  fc.tuple(id, id).map(([one, other]) => `when { User::"${one}" == User::"${other}" }`),
  fc
    .tuple(id, id)
    .map(
      ([one, other]) =>
        `when { principal has level && principal.level == Level::"${one}" && context has "${other}" }`,
    ),
  fc
    .tuple(id, id)
    .map(([one, other]) => `when { principal.hasTag("${one}") && principal.getTag("${other}") == "x" }`),
  id.map((text) => `when { principal.at == ip("${text}") }`),
  id.map((text) => `when { action == Action::"${text}" }`),
  id.map((text) => `when { principal.groups.contains(Group::"${text}") || principal in [User::"${text}"] }`),
)
const policy = fc.tuple(principal, action, resource, condition).map(([who, what, on, when]) => {
  return `@id("x") permit (${who}, ${what}, ${on}) ${when};`
})

describe('the shape of a policy', () => {
  it('is all that decides for which kinds of requests it can hold', () => {
    const enumerated = enumeratedTypes(SCHEMA)
    const kinds = new Map<string, unknown>()
    let same = 0
    fc.assert(
      fc.property(policy, (text) => {
        const parsed = policyToJson(text)
        assert.equal(parsed.type, 'success')
        if (parsed.type !== 'success') return
        const shape = shapeOf(parsed.json, enumerated)
        const envs = getValidRequestEnvsPolicy(text, SCHEMA)
        const told =
          envs.type === 'failure'
            ? null
            : [envs.actions, envs.resources, envs.principals].map((each) => each.toSorted())
        if (kinds.has(shape)) {
          same += 1
          assert.deepEqual(told, kinds.get(shape), `${text} has the shape ${shape}`)
        }
        kinds.set(shape, told)
      }),
      { numRuns: 600 },
    )
    // About one policy in five meets another of its shape; far below that the comparison would show little.
    assert.ok(same > 20, `${same} of one shape with another`)
  })

  it('does not depend on which ids and texts there are, but on which are the same', () => {
    const shape = (text: string): string => {
      const parsed = policyToJson(text)
      if (parsed.type === 'failure') throw new Error(parsed.errors[0]?.message)
      return shapeOf(parsed.json, new Set())
    }
    const of = (one: string, other: string) =>
      shape(
        `@id("${one}") permit (principal == User::"${one}", action, resource) when { User::"${other}" == principal };`,
      )
    assert.equal(of('a', 'b'), of('c', 'd'))
    assert.notEqual(of('a', 'b'), of('a', 'a'))
  })
})
