import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { askOne, prepareCedar, prepareManyCedar, question } from './cedar-world.ts'

const SCHEMA =
  'entity User; entity Account; action read appliesTo { principal: User, resource: Account, context: { level: Long } };'

/** Policies in two files, together more than are read in one thread; `more` makes the first file long. */
const filesOf = (more: number, last = '') => ({
  '/p/a.cedar': `\ufeff${Array.from({ length: more }, (_, at) => {
    return `permit (principal == User::"u${at}", action == Action::"read", resource) when { context.level > ${at} };`
  }).join('\r\n')}`,
  '/p/b.cedar': `// Ünïcode 𝄞\n@id("alice") @advice("hello") permit (principal == User::"alice", action, resource);${last}`,
  '/p/s.cedarschema': SCHEMA,
})

describe('policies that are read in a thread of their own', () => {
  it('are what they are otherwise', async () => {
    const schema = '/p/s.cedarschema'
    const few = prepareCedar(filesOf(50), { schema }).create()
    const { findings, problems, create } = await prepareManyCedar(filesOf(500), { schema })
    assert.deepEqual([...findings, ...problems], [])
    const many = create()
    assert.deepEqual([few.policyIds?.length, many.policyIds?.length], [51, 501])
    const asked = question({ context: { level: 10 } })
    const ids = ['alice', 'a.cedar#7']
    assert.deepEqual(askOne(many, asked), askOne(few, asked))
    assert.deepEqual(many.policies?.(ids), few.policies?.(ids))
    const hashes = few.policyHashes?.()
    for (const id of ids) assert.equal(many.policyHashes?.().get(id), hashes?.get(id))
  })

  it('know the entities of the entities file, however many', async () => {
    const uid = (type: string, id: string) => ({ type, id })
    const groups = Array.from({ length: 1000 }, (_, at) => {
      return { uid: uid('Group', `g${at}`), attrs: {}, parents: [uid('Group', `g${at + 1}`)] }
    })
    const entities = JSON.stringify([
      { uid: uid('User', 'alice'), attrs: {}, parents: [uid('Group', 'g0')] },
      ...groups,
    ])
    const policy = (at: number) => `@id("p${at}") permit (principal in Group::"g${at}", action, resource);`
    const { findings, create } = await prepareManyCedar(
      {
        '/p/a.cedar': Array.from({ length: 40 }, (_, at) => policy(at * 40)).join('\n'),
        '/e.json': entities,
      },
      { entities: '/e.json' },
      'entities',
    )
    assert.deepEqual(findings, [])
    const { reasons } = askOne(create(), question())
    assert.deepEqual(reasons, Array.from({ length: 26 }, (_, at) => `p${at * 40}`).sort())
    const broken = { '/p/a.cedar': policy(1), '/e.json': entities.replace('"attrs":{}', '"attrs":{"x":1.5}') }
    const wrong = await prepareManyCedar(broken, { entities: '/e.json' }, 'entities')
    assert.deepEqual(
      wrong.findings.map(({ rule, line, column }) => [rule, line, column]),
      [['cedar-entities', 1, 51]],
    )
  })

  it('have the same mistakes at the same places', async () => {
    const last =
      '\npermit (principal, action == Action::"write", resource); @id("alice") permit (principal, action, resource);'
    const schema = '/p/s.cedarschema'
    const few = prepareCedar(filesOf(50, last), { schema }).findings
    assert.equal(few.length, 2)
    assert.deepEqual(
      (await prepareManyCedar(filesOf(500, last), { schema })).findings,
      few.map((finding) => {
        return { ...finding, message: finding.message.replaceAll('#51', '#501') }
      }),
    )
  })

  it('are not read again while an engine is made of them, unless something of it changed', async () => {
    const schema = '/p/s.cedarschema'
    const warned = filesOf(500, '\npermit (principal is Account, action, resource);')
    const { findings, create } = await prepareManyCedar(warned, { schema })
    const engine = create()
    assert.notEqual(findings.length, 0)
    // At once, which reading them is not.
    const again = prepareCedar(warned, { schema })
    assert.deepEqual(again.findings, findings)
    const asked = question({ context: { level: 10 } })
    assert.deepEqual(askOne(again.create(), asked), askOne(engine, asked))
    const other = await prepareManyCedar(filesOf(500), { schema })
    assert.deepEqual(other.findings, [])
    assert.deepEqual([other.create().policyIds?.length, engine.policyIds?.length], [501, 502])
  })
})
