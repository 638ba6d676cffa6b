import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { AccessRequest } from '../../../../src/core/access-request.ts'
import type { JsonObject } from '../../../../src/core/json.ts'
import { askOne, createCedar, type Files, question } from './cedar-world.ts'

const OWNER = '@id("owner") permit (principal, action, resource) when { resource.owner == principal };'
const ALICE = { __entity: { type: 'User', id: 'alice' } }
const owned = (properties: JsonObject = {}): Partial<AccessRequest> => ({
  resource: { type: 'Account', id: '42', properties: { owner: ALICE, ...properties } },
})
const engineOf = (policies: string, more: Files = {}) =>
  createCedar(
    { '/p/a.cedar': policies, ...more },
    {
      ...('/p/s.cedarschema' in more ? { schema: '/p/s.cedarschema' } : {}),
      ...('/p/e.json' in more ? { entities: '/p/e.json' } : {}),
    },
  )
const allowed = (...reasons: readonly string[]) => ({
  decision: 'allow',
  reasons,
  errors: [],
  cacheable: true,
})
const denied = (...reasons: readonly string[]) => ({ decision: 'deny', reasons, errors: [], cacheable: true })

describe('the Cedar engine', () => {
  it('allows with the ids of the permits that held, sorted', () => {
    const engine = engineOf(
      `@id("z") permit (principal, action, resource); ${OWNER} permit (principal, action, resource);`,
    )
    assert.deepEqual(askOne(engine, question(owned())), allowed('a.cedar#3', 'owner', 'z'))
  })

  it('denies without a reason when nothing permits', () => {
    assert.deepEqual(askOne(engineOf('// none'), question()), denied())
  })

  it('denies with the ids of the forbids that held', () => {
    const engine = engineOf(`${OWNER} @id("never") forbid (principal, action, resource);`)
    assert.deepEqual(askOne(engine, question(owned())), denied('never'))
  })

  it('answers every question of a batch, in order', () => {
    const answers = engineOf(OWNER).evaluate([question(owned()), question(owned({ owner: 'nobody' }))], () =>
      assert.fail('no signal is needed'),
    )
    assert.deepEqual(answers, [allowed('owner'), denied()])
  })

  it('writes subjects and resources as Type::"id" and actions as Action::"name"', () => {
    const engine = engineOf(
      'permit (principal == Bank::User::"a\\"b", action == Action::"re ad", resource == Account::"é");',
    )
    const asked = question({
      subject: { type: 'Bank::User', id: 'a"b' },
      action: { name: 're ad' },
      resource: { type: 'Account', id: 'é' },
    })
    assert.deepEqual(askOne(engine, asked), allowed('a.cedar#1'))
  })

  it('reads properties as attributes, and JSON integers as integers', () => {
    const engine = engineOf(`permit (principal, action, resource) when {
      principal.groups.contains("staff") && resource.cents + 1 == 101 && action.soft && context.limit > 2147483647
    };`)
    const asked = question({
      subject: { type: 'User', id: 'alice', properties: { groups: ['staff'] } },
      action: { name: 'read', properties: { soft: true } },
      resource: { type: 'Account', id: '42', properties: { cents: 100 } },
      context: { limit: Number.MAX_SAFE_INTEGER },
    })
    assert.deepEqual(askOne(engine, asked), allowed('a.cedar#1'))
  })

  it('finds policies by ids that name parts of an object', () => {
    const engine = engineOf(
      '@id("__proto__") permit (principal, action, resource); @id("constructor") permit (principal, action, resource);',
    )
    assert.deepEqual(askOne(engine, question()), allowed('__proto__', 'constructor'))
  })
})

describe('the entities file', () => {
  const entities = JSON.stringify([
    {
      uid: { type: 'User', id: 'alice' },
      attrs: { level: 1, team: 'red' },
      parents: [{ type: 'Group', id: 'clerks' }],
    },
    { uid: { type: 'Group', id: 'clerks' }, attrs: {}, parents: [{ type: 'Group', id: 'staff' }] },
    {
      uid: { __entity: { type: 'Account', id: '42' } },
      attrs: { owner: ALICE },
      parents: [],
      tags: { colour: 'blue' },
    },
    { uid: { type: 'Action', id: 'read' }, attrs: {}, parents: [{ type: 'Action', id: 'look' }] },
  ])
  const ask = (condition: string, changed: Partial<AccessRequest> = {}): string =>
    askOne(
      engineOf(`permit (principal, action, resource) when { ${condition} };`, { '/p/e.json': entities }),
      question(changed),
    ).decision

  it('gives attributes, parents of parents, tags and groups of actions', () => {
    assert.equal(ask('principal in Group::"staff"'), 'allow')
    assert.equal(ask('resource.owner == principal && resource.owner.level == 1'), 'allow')
    assert.equal(ask('resource.hasTag("colour") && resource.getTag("colour") == "blue"'), 'allow')
    assert.equal(ask('action in Action::"look"'), 'allow')
    assert.equal(ask('User::"alice".team == "red"', { subject: { type: 'User', id: 'bob' } }), 'allow')
  })

  it('is known behind what the request alone refers to', () => {
    const bob = { type: 'User', id: 'bob' }
    const other = { type: 'Account', id: '7' }
    const level = (path: string, changed: Partial<AccessRequest>): string =>
      ask(`${path}.level == 1`, { subject: bob, resource: other, ...changed })
    assert.equal(level('principal.boss', { subject: { ...bob, properties: { boss: ALICE } } }), 'allow')
    assert.equal(
      level('resource.deep.by', { resource: { ...other, properties: { deep: { by: ALICE } } } }),
      'allow',
    )
    assert.equal(level('context.by', { context: { by: ALICE } }), 'allow')
  })

  it('keeps its attributes and parents beside the properties of the request, which win', () => {
    const subject = { type: 'User', id: 'alice', properties: { level: 9 } }
    assert.equal(
      ask('principal.level == 9 && principal.team == "red" && principal in Group::"staff"', { subject }),
      'allow',
    )
  })

  it('is not changed by a request', () => {
    const engine = engineOf('permit (principal, action, resource) when { principal.level == 9 };', {
      '/p/e.json': entities,
    })
    const asked = question({ subject: { type: 'User', id: 'alice', properties: { level: 9 } } })
    assert.equal(askOne(engine, asked).decision, 'allow')
    assert.equal(askOne(engine, question()).decision, 'deny')
  })
})

describe('one entity that is subject and resource', () => {
  const entities = JSON.stringify([
    { uid: { type: 'User', id: 'alice' }, attrs: { role: 'user' }, parents: [] },
  ])
  const ask = (subject: JsonObject | undefined, resource: JsonObject) =>
    askOne(
      engineOf('permit (principal, action, resource) when { principal.role == "admin" };', {
        '/p/e.json': entities,
      }),
      question({
        subject: { type: 'User', id: 'alice', ...(subject === undefined ? {} : { properties: subject }) },
        resource: { type: 'User', id: 'alice', properties: resource },
      }),
    )

  it('does not get from the resource another value than the subject or the entities file has', () => {
    for (const answer of [ask(undefined, { role: 'admin' }), ask({ role: 'user' }, { role: 'admin' })]) {
      assert.equal(answer.decision, 'deny')
      assert.equal(answer.cacheable, false)
      assert.match(answer.errors.join(), /two values of role/)
    }
  })

  it('may have from both what does not differ', () => {
    assert.deepEqual(ask({ role: 'admin' }, { role: 'admin', name: 'a' }), allowed('a.cedar#1'))
  })
})

describe('a policy that fails', () => {
  it('denies when it is a forbid, and is a reason', () => {
    const engine = engineOf(
      `${OWNER} @id("frozen") forbid (principal, action, resource) when { resource.frozen };`,
    )
    const answer = askOne(engine, question(owned()))
    assert.deepEqual(
      { ...answer, errors: answer.errors.map((error) => error.slice(0, 7)) },
      { decision: 'deny', reasons: ['frozen'], errors: ['frozen:'], cacheable: false },
    )
  })

  it('denies beside a forbid that held, and both are reasons', () => {
    const engine = engineOf(
      '@id("b") forbid (principal, action, resource) when { context.x }; @id("a") forbid (principal, action, resource);',
    )
    assert.deepEqual(askOne(engine, question()).reasons, ['a', 'b'])
  })

  it('does not deny when it is a permit and another permit held; it is recorded', () => {
    const engine = engineOf(`${OWNER} @id("broken") permit (principal, action, resource) when { context.x };`)
    const answer = askOne(engine, question(owned()))
    assert.deepEqual([answer.decision, answer.reasons, answer.cacheable], ['allow', ['owner'], false])
    assert.match(answer.errors.join(), /^broken: /)
  })

  it('denies when it is the only permit', () => {
    const answer = askOne(engineOf(OWNER), question())
    assert.deepEqual([answer.decision, answer.reasons], ['deny', []])
    assert.match(answer.errors.join(), /^owner: /)
  })

  it('is told of all that failed, sorted', () => {
    const engine = engineOf(
      '@id("b") permit (principal, action, resource) when { context.x }; @id("a") permit (principal, action, resource) when { context.y };',
    )
    assert.deepEqual(
      askOne(engine, question()).errors.map((error) => error.slice(0, 2)),
      ['a:', 'b:'],
    )
  })
})

describe('a request that Cedar cannot read is denied, told as an error, and not kept', () => {
  const deep = (levels: number): JsonObject => (levels === 0 ? {} : { a: deep(levels - 1) })
  const requests: Readonly<Record<string, Partial<AccessRequest>>> = {
    'a fraction in the context': { context: { amount: 10.5 } },
    'a fraction in a property': owned({ amount: 10.5 }),
    'a fraction deep in a list': { context: { list: [1, { amount: 10.5 }] } },
    'a null': { context: { note: null } },
    'an integer that is not exact': { context: { amount: 2 ** 53 } },
    'a lone surrogate in an id': { subject: { type: 'User', id: '\ud800' } },
    'a lone surrogate in a key': { context: { '\udc00': 1 } },
    'more levels than Cedar reads': { context: deep(5_000) },
    'a type that is more than a name': { subject: { type: 'User::"admin"', id: 'x' } },
    'a type with a space': { resource: { type: 'Account ', id: '42' } },
    'an empty type': { resource: { type: '', id: '42' } },
    'an extension value that is none': { context: { ip: { __extn: { fn: 'ip', arg: 'here' } } } },
  }
  const engine = engineOf('permit (principal, action, resource);')
  for (const [name, changed] of Object.entries(requests)) {
    it(name, () => {
      const answer = askOne(engine, question(changed))
      assert.deepEqual([answer.decision, answer.reasons, answer.cacheable], ['deny', [], false])
      assert.equal(answer.errors.length, 1)
      assert.doesNotMatch(answer.errors.join(), /[\n\ud800-\udfff]/)
    })
  }

  it('and the next request is answered', () => {
    assert.deepEqual(askOne(engine, question()), allowed('a.cedar#1'))
  })
})

describe('with a schema', () => {
  const schema = `entity User { level?: Long };
entity Account { owner: User, frozen: Bool };
action read appliesTo { principal: User, resource: Account, context: { ip?: ipaddr } };`
  const engine = engineOf(
    'permit (principal, action == Action::"read", resource) unless { context has ip && !context.ip.isLoopback() };',
    { '/p/s.cedarschema': schema },
  )

  it('answers what fits it, also when nothing is known of the resource', () => {
    assert.deepEqual(askOne(engine, question()), allowed('a.cedar#1'))
    const properties = { owner: ALICE, frozen: false }
    assert.deepEqual(
      askOne(engine, question({ resource: { type: 'Account', id: '42', properties } })),
      allowed('a.cedar#1'),
    )
  })

  it('reads by it what JSON alone would not say', () => {
    assert.equal(
      askOne(engine, question({ context: { ip: { __extn: { fn: 'ip', arg: '127.0.0.1' } } } })).decision,
      'allow',
    )
    const properties = { owner: { type: 'User', id: 'alice' }, frozen: false }
    assert.equal(
      askOne(engine, question({ resource: { type: 'Account', id: '42', properties } })).decision,
      'allow',
    )
  })

  const misfits: Readonly<Record<string, Partial<AccessRequest>>> = {
    'an action that it lacks': { action: { name: 'write' } },
    'a type that it lacks': { subject: { type: 'Robot', id: 'alice' } },
    'a context of another form': { context: { ip: 1 } },
    'a key of the context that it lacks': { context: { more: 1 } },
    'an attribute of another type': { subject: { type: 'User', id: 'alice', properties: { level: 'high' } } },
    'an attribute that it lacks': { subject: { type: 'User', id: 'alice', properties: { more: 1 } } },
    'a resource without an attribute that it requires': {
      resource: { type: 'Account', id: '42', properties: { owner: ALICE } },
    },
  }
  for (const [name, changed] of Object.entries(misfits)) {
    it(`denies ${name}, tells it as an error, and does not keep it`, () => {
      const answer = askOne(engine, question(changed))
      assert.deepEqual([answer.decision, answer.reasons, answer.cacheable], ['deny', [], false])
      assert.equal(answer.errors.length, 1)
    })
  }

  it('means the one action of a name that it declares in a namespace alone', () => {
    const namespaced = engineOf('permit (principal, action, resource);', {
      '/p/s.cedarschema': `entity User; entity Account;
action plain appliesTo { principal: User, resource: Account };
namespace Bank { action read, both appliesTo { principal: User, resource: Account }; }
namespace Shop { action both appliesTo { principal: User, resource: Account }; }`,
    })
    const ask = (name: string): string => askOne(namespaced, question({ action: { name } })).decision
    assert.equal(ask('read'), 'allow')
    assert.equal(ask('plain'), 'allow')
    assert.equal(ask('both'), 'deny')
    assert.equal(ask('Bank::Action::"read"'), 'deny')
  })

  it('may be one in JSON', () => {
    const json = JSON.stringify({
      '': {
        entityTypes: { User: {}, Account: {} },
        actions: { read: { appliesTo: { principalTypes: ['User'], resourceTypes: ['Account'] } } },
      },
    })
    const engine = createCedar(
      { '/p/a.cedar': 'permit (principal, action == Action::"read", resource);', '/p/s.json': json },
      { schema: '/p/s.json' },
    )
    assert.equal(askOne(engine, question()).decision, 'allow')
    assert.equal(askOne(engine, question({ context: { more: 1 } })).decision, 'deny')
  })
})
