import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { askOne, createCedar, type Files, prepareCedar, prepareManyCedar, question } from './cedar-world.ts'

const TEMPLATES = `@id("reader") @ttl("5s") @advice("by a link")
permit (principal == ?principal, action == Action::"read", resource == ?resource);
@id("team") permit (principal in ?principal, action, resource is Account) when { context.level > 1 };
@id("closed") forbid (principal, action, resource in ?resource);
`
const LINKS = `links:
  - { id: alice-42, template: reader, principal: 'User::"alice"', resource: { type: Account, id: "42" } }
  - id: staff
    template: team
    principal: { type: Group, id: staff }
  - { id: vault, template: closed, resource: 'Folder::"vault"' }
`
const ENTITIES = JSON.stringify([
  { uid: { type: 'User', id: 'bob' }, attrs: {}, parents: [{ type: 'Group', id: 'staff' }] },
  { uid: { type: 'Account', id: '7' }, attrs: {}, parents: [{ type: 'Folder', id: 'vault' }] },
])
const SCHEMA = `entity Group; entity Folder; entity User in [Group]; entity Account in [Folder];
action read appliesTo { principal: User, resource: Account, context: { level: Long } };
`
const CONFIG = { links: ['/l/*.yaml'], entities: '/p/e.json' }
const files = (changed: Files = {}): Files => ({
  '/p/a.cedar': TEMPLATES,
  '/l/links.yaml': LINKS,
  '/p/e.json': ENTITIES,
  '/p/s.cedarschema': SCHEMA,
  ...changed,
})

describe('links of templates', () => {
  const engine = createCedar(files(), CONFIG, 'linked')
  const ask = (id: string, account: string, context = {}) =>
    askOne(
      engine,
      question({ subject: { type: 'User', id }, resource: { type: 'Account', id: account }, context }),
    )

  it('decide as the policies that they make, and are the reasons, beside the templates', () => {
    const allowed = ask('alice', '42')
    assert.deepEqual(
      [allowed.decision, allowed.reasons, allowed.templates],
      ['allow', ['alice-42'], ['reader']],
    )
    assert.deepEqual([allowed.ttlMs, allowed.advice], [5000, ['by a link']])
    assert.deepEqual(ask('alice', '43').reasons, [])
    const { decision, reasons, templates } = ask('bob', '8', { level: 2 })
    assert.deepEqual([decision, reasons, templates], ['allow', ['staff'], ['team']])
    const denied = ask('bob', '7', { level: 2 })
    assert.deepEqual([denied.decision, denied.reasons, denied.templates], ['deny', ['vault'], ['closed']])
  })

  it('are told of by their own ids when they fail', () => {
    const { errors } = ask('bob', '8')
    assert.match(errors.join(), /^staff: .*level/)
  })

  it('are policies of the engine, templates are not', () => {
    assert.deepEqual(engine.policyIds, ['alice-42', 'staff', 'vault'])
    const [source] = engine.policies?.(['alice-42']) ?? []
    assert.deepEqual([source?.file, source?.line], ['/l/links.yaml', 2])
    assert.match(
      source?.text ?? '',
      /permit\(principal == User::"alice", action == Action::"read", resource == Account::"42"\)/,
    )
  })

  it('count in the policy version and hashes', () => {
    const other = createCedar(
      files({ '/l/links.yaml': LINKS.replace('"42"', '"44"') }),
      CONFIG,
      'linked-otherwise',
    )
    assert.notEqual(other.policyVersion(), engine.policyVersion())
    const hashes = [engine, other].map(({ policyHashes }) => policyHashes?.())
    assert.notEqual(hashes[0]?.get('alice-42'), hashes[1]?.get('alice-42'))
    assert.equal(hashes[0]?.get('staff'), hashes[1]?.get('staff'))
  })

  it('are named when nothing but a condition kept them from allowing', () => {
    const near = engine.nearPolicies?.(
      question({ subject: { type: 'User', id: 'bob' }, context: { level: 1 } }),
    )
    assert.deepEqual(
      near?.map(({ id, unmet }) => [id, unmet]),
      [['staff', ['when { context.level > 1 }']]],
    )
  })

  it('may be in JSON, and very many', async () => {
    const links = Array.from({ length: 600 }, (_, at) => {
      return {
        id: `l${at}`,
        template: 'reader',
        principal: `User::"u${at}"`,
        resource: { type: 'Account', id: `${at}` },
      }
    })
    const many = await prepareManyCedar(
      files({ '/l/links.yaml': '{"links":[]}', '/l/more.json': JSON.stringify({ links }, null, 1) }),
      { ...CONFIG, links: ['/l/*'], schema: '/p/s.cedarschema' },
      'many-links',
    )
    assert.deepEqual(
      many.findings.map(({ rule }) => rule),
      ['cedar-unlinked-template', 'cedar-unlinked-template'],
    )
    const asked = question({
      subject: { type: 'User', id: 'u599' },
      resource: { type: 'Account', id: '599' },
      context: { level: 1 },
    })
    assert.deepEqual(askOne(many.create(), asked).reasons, ['l599'])
  })
})

const MISTAKES: Readonly<Record<string, readonly [string, readonly (string | RegExp)[]]>> = {
  'what is not YAML': ['links: [', [/^1:\d+ cedar-link /]],
  'a list without its name': ['- { id: a }', [/^1:1 cedar-link found no links/]],
  'another key at the top': ['links: []\nlinked: []', ['2:1 cedar-link found another key than links']],
  'a link that is none': ['links:\n  - alice', [/^2:5 cedar-link found no link, expected/]],
  'a key that there is not': [
    'links:\n  - { id: a, template: reader, principle: x }',
    [/^2:32 cedar-link found the unknown key "principle"; did you mean "principal"/],
  ],
  'a link without an id': [
    'links:\n  - { template: team, principal: \'U::"a"\' }',
    [/^2:5 cedar-link found no id/],
  ],
  'a template that there is not': [
    'links:\n  - { id: a, template: raeder }',
    [/^2:24 cedar-link found no template "raeder"; did you mean "reader"/],
  ],
  'an id that is taken': [
    'links:\n  - { id: team, template: closed, resource: \'F::"a"\' }\n  - { id: b, template: closed, resource: \'F::"a"\' }\n  - { id: b, template: closed, resource: \'F::"a"\' }',
    [
      /^2:11 cedar-duplicate-id found the policy id "team" a second time, it is first at .*a\.cedar:3:1$/,
      /^4:11 cedar-duplicate-id found the policy id "b" a second time, it is first at .*links\.yaml:3:11$/,
    ],
  ],
  'a slot that is not filled': [
    'links:\n  - { id: a, template: reader, principal: \'U::"a"\' }',
    [/^2:5 cedar-link found no resource, which the template "reader" wants/],
  ],
  'a value for a slot that there is not': [
    'links:\n  - { id: a, template: team, principal: \'U::"a"\', resource: \'F::"a"\' }',
    [/^2:61 cedar-link found a resource, which the template "team" has no slot for/],
  ],
  'ids with characters that Cedar would not be given as they are': [
    'links:\n  - { id: "a\\ud800", template: team, principal: \'U::"a"\' }\n  - { id: b, template: team, principal: \'U::"\\ud800"\' }\n  - { id: c, template: team, principal: { type: U, id: "\\0" } }',
    [/^2:11 cedar-link found no id/, /^3:41 cedar-link found no entity/, /^4:41 cedar-link found no entity/],
  ],
  'a value that is no entity': [
    'links:\n  - { id: a, template: team, principal: alice }\n  - { id: b, template: team, principal: { type: "U V", id: a } }\n  - { id: c, template: team, principal: { type: U, id: 1 } }',
    [/^2:41 cedar-link found no entity as principal/, /^3:41 cedar-link/, /^4:41 cedar-link/],
  ],
  'a type that Cedar keeps for itself, and texts that are none': [
    'links:\n  - { id: a, template: team, principal: { type: if, id: a } }\n  - { id: b, template: team, principal: \'__cedar::U::"a"\' }\n  - { id: c, template: team, principal: { type: U, id: "\\uD800" } }\n  - { id: "\\uD800", template: team, principal: \'U::"a"\' }',
    [
      /^2:41 cedar-link found no entity as principal/,
      /^3:41 cedar-link found no entity/,
      /^4:41 cedar-link found no entity/,
      /^5:11 cedar-link found no id/,
    ],
  ],
}

describe('loading links reports', () => {
  for (const [what, [text, expect]] of Object.entries(MISTAKES)) {
    it(what, () => {
      const { findings } = prepareCedar(files({ '/l/links.yaml': text }), CONFIG)
      const found = findings
        .filter(({ severity }) => severity === 'error')
        .map(({ line, column, rule, message }) => `${line}:${column} ${rule} ${message}`)
      assert.equal(found.length, expect.length, found.join('\n'))
      for (const [index, start] of expect.entries()) {
        if (typeof start === 'string') assert.ok(found[index]?.startsWith(start), found[index])
        else assert.match(found[index] ?? '', start)
      }
    })
  }

  it('an entity that does not fit the schema, at the link', () => {
    const text = 'links:\n  - { id: a, template: team, principal: \'Grupp::"staff"\' }'
    const { findings } = prepareCedar(files({ '/l/links.yaml': text }), {
      ...CONFIG,
      schema: '/p/s.cedarschema',
    })
    const [found, ...others] = findings.filter(({ severity }) => severity === 'error')
    assert.deepEqual(
      [found?.file, found?.line, found?.column, found?.rule, others.length],
      ['/l/links.yaml', 2, 5, 'cedar-validate', 0],
    )
    assert.match(found?.message ?? '', /unrecognized entity type `Grupp`/)
  })

  it('a template with a number that its links could not hold as it is written', () => {
    for (const number of ['9007199254740993', '-9223372036854775808', '9223372036854775807']) {
      const { findings } = prepareCedar(
        files({
          '/p/a.cedar': `permit (principal, action, resource);
@id("t") permit (principal == ?principal, action, resource) when { [1, context.a - ${number}].contains(1) };`,
          '/l/links.yaml':
            'links:\n  - { id: a, template: t, principal: \'User::"a"\' }\n  - { id: b, template: t, principal: \'User::"b"\' }',
        }),
        CONFIG,
      )
      assert.deepEqual(
        findings.map(({ file, line, column, rule }) => `${file}:${line}:${column} ${rule}`),
        ['/p/a.cedar:2:1 cedar-link'],
      )
    }
  })

  it('what is wrong with a template once, and not with each link', () => {
    const text =
      'links:\n  - { id: a, template: t, principal: \'User::"a"\' }\n  - { id: b, template: t, principal: \'User::"b"\' }'
    const { findings } = prepareCedar(
      files({
        '/p/a.cedar':
          '@id("t") permit (principal == ?principal, action, resource) when { principal.name == 1 };',
        '/l/links.yaml': text,
      }),
      { ...CONFIG, schema: '/p/s.cedarschema' },
    )
    assert.deepEqual(
      findings.map(({ file, rule }) => [file, rule]),
      [['/p/a.cedar', 'cedar-validate']],
    )
  })
})
