import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { type Files, prepareCedar } from './cedar-world.ts'

const PERMIT = 'permit (principal, action, resource);'
const SCHEMA = `entity Group;
entity User in [Group] { name?: String };
entity Account { owner: User };
action read appliesTo { principal: User, resource: Account, context: { level?: Long } };
`

/** `file:line:column rule message` of each finding. */
const reported = (files: Files, config: Parameters<typeof prepareCedar>[1] = {}): readonly string[] => {
  const { findings, problems } = prepareCedar(files, config)
  assert.deepEqual(problems, [])
  return findings.map(
    ({ severity, file, line, column, rule, message }) =>
      `${severity === 'error' ? '' : `${severity} `}${file}:${line}:${column} ${rule} ${message}`,
  )
}

interface Mistake {
  readonly files: Files
  readonly config?: Parameters<typeof prepareCedar>[1]
  /** The start of each line, or a pattern for it. */
  readonly expect: readonly (string | RegExp)[]
}

const withSchema = { schema: '/p/s.cedarschema' }
const withEntities = { entities: '/p/e.json' }

const policyMistakes: Readonly<Record<string, Mistake>> = {
  'a policy that does not parse': {
    files: { '/p/a.cedar': `${PERMIT}\npermit (principal, action,, resource);` },
    expect: ['/p/a.cedar:2:27 cedar-parse unexpected token `,`'],
  },
  'every policy that does not parse, in every file': {
    files: {
      '/p/a.cedar': 'permit (x, action, resource);\n\npermit (principal, action, resource) when { foo(1) };',
      '/p/b.cedar': 'permit',
    },
    expect: [
      '/p/a.cedar:1:9 cedar-parse found an invalid variable',
      '/p/a.cedar:3:45 cedar-parse `foo` is not a valid function; did you mean `ip`?',
      '/p/b.cedar:1:7 cedar-parse ',
    ],
  },
  'a place after characters of several bytes and units': {
    files: { '/p/a.cedar': `// é😀\n@note("é😀") permit (principal,, action, resource);` },
    expect: ['/p/a.cedar:2:31 cedar-parse'],
  },
  'a place after a byte order mark and CR LF': {
    files: { '/p/a.cedar': `\ufeff${PERMIT}\r\npermit (principal,, action, resource);\r\n` },
    expect: ['/p/a.cedar:2:19 cedar-parse'],
  },
  'a file that is not UTF-8': {
    files: { '/p/a.cedar': Buffer.from(`${PERMIT}\n// caf\xe9`, 'latin1') },
    expect: ['/p/a.cedar:2:7 cedar-parse found a byte that is not UTF-8'],
  },
  'a template that no link uses, as a warning': {
    files: { '/p/a.cedar': `${PERMIT}\npermit (principal == ?principal, action, resource);` },
    expect: ['warning /p/a.cedar:2:1 cedar-unlinked-template no link uses the template "a.cedar#2"'],
  },
  'a template with a slot where there can be none': {
    files: {
      '/p/a.cedar': `${PERMIT}\npermit (principal, action, resource) when { ?principal == resource };`,
    },
    expect: [/^\/p\/a\.cedar:2:45 cedar-parse found template slot \?principal in a `when` clause/],
  },
  'an @id that is used in two files': {
    files: {
      '/p/a.cedar': `${PERMIT}\n@id("one") ${PERMIT}`,
      '/p/b.cedar': `// text\n\n  @note("@id(") @id("one")\n${PERMIT}`,
    },
    expect: [
      '/p/b.cedar:3:17 cedar-duplicate-id found the policy id "one" a second time, it is first at a.cedar:2:1',
    ],
  },
  'an @id that is used twice in one file': {
    files: { '/p/a.cedar': `@id("one")\n${PERMIT}\n@id("one")\n${PERMIT}` },
    expect: [/^\/p\/a\.cedar:3:1 cedar-duplicate-id .* first at a\.cedar:1:1$/],
  },
  'an @id that is what another policy is called by its place': {
    files: { '/p/a.cedar': `@id("a.cedar#2") ${PERMIT} ${PERMIT}` },
    expect: [/^\/p\/a\.cedar:1:56 cedar-duplicate-id/],
  },
  'an @id without a value': {
    files: { '/p/a.cedar': `@id ${PERMIT}\n@id("") ${PERMIT}` },
    expect: ['/p/a.cedar:1:1 cedar-id found an @id without a value', '/p/a.cedar:2:1 cedar-id'],
  },
  'two @id on one policy': {
    files: { '/p/a.cedar': `@id("a") @id("b") ${PERMIT}` },
    expect: ['/p/a.cedar:1:10 cedar-parse duplicate annotation: @id'],
  },
  'policies that do not fit the schema': {
    files: {
      '/p/s.cedarschema': SCHEMA,
      '/p/a.cedar': `// é😀
@id("typo")
permit (principal, action == Action::"read", resource)
when { "é😀" == "é😀" && resource.ownr == principal };
permit (principal is Usr, action, resource);
permit (principal, action == Action::"rea", resource);`,
      '/p/b.cedar': `\n  permit (principal, action, resource) when { context.level > 1 };`,
    },
    config: withSchema,
    expect: [
      '/p/a.cedar:4:24 cedar-validate for policy `typo`, attribute `ownr` on entity type `Account` not found; did you mean `owner`?',
      '/p/a.cedar:5:22 cedar-validate for policy `a.cedar#2`, unrecognized entity type `Usr`; did you mean `User`?',
      '/p/a.cedar:6:30 cedar-validate for policy `a.cedar#3`, unrecognized action',
      '/p/b.cedar:2:47 cedar-validate for policy `b.cedar#1`, unable to guarantee safety of access to optional attribute `level`',
    ],
  },
  'as a warning, a policy that can never apply': {
    files: {
      '/p/s.cedarschema': SCHEMA,
      '/p/a.cedar': `${PERMIT}\npermit (principal, action, resource) when { false };`,
    },
    config: withSchema,
    expect: ['warning /p/a.cedar:2:1 cedar-validate for policy `a.cedar#2`, policy is impossible'],
  },
}

const schemaMistakes: Readonly<Record<string, Mistake>> = {
  'a schema that does not parse': {
    files: { '/p/s.cedarschema': '// é😀\nentity User { name: String ;', '/p/a.cedar': PERMIT },
    config: withSchema,
    expect: ['/p/s.cedarschema:2:28 cedar-schema'],
  },
  'a schema with a type that there is not': {
    files: { '/p/s.cedarschema': '// é😀\nentity User { name: Strin };', '/p/a.cedar': PERMIT },
    config: withSchema,
    expect: ['/p/s.cedarschema:2:21 cedar-schema failed to resolve type'],
  },
  'a schema in JSON that is not JSON': {
    files: { '/p/s.json': '{\n  "": {},\n}', '/p/a.cedar': PERMIT },
    config: { schema: '/p/s.json' },
    expect: ['/p/s.json:3:1 cedar-schema found what is not JSON'],
  },
  'a schema in JSON that is no map': {
    files: { '/p/s.json': '"entity User;"', '/p/a.cedar': PERMIT },
    config: { schema: '/p/s.json' },
    expect: ['/p/s.json:1:1 cedar-schema found no schema'],
  },
  'a schema in JSON with a key that there is not': {
    files: { '/p/s.json': '{"": {"entityTypes": {"U": {"shap": {}}}, "actions": {}}}', '/p/a.cedar': PERMIT },
    config: { schema: '/p/s.json' },
    expect: [/^\/p\/s\.json:1:1 cedar-schema .*unknown field `shap`/],
  },
}

const entity = (id: string, rest = '"attrs": {}, "parents": []', type = 'User'): string =>
  `{ "uid": { "type": "${type}", "id": "${id}" }, ${rest} }`

const entityMistakes: Readonly<Record<string, Mistake>> = {
  'entities that are not JSON': {
    files: { '/p/e.json': '[\n  { "uid": 1, }\n]', '/p/a.cedar': PERMIT },
    config: withEntities,
    expect: ['/p/e.json:2:15 cedar-entities found what is not JSON'],
  },
  'entities with a key twice': {
    files: {
      '/p/e.json': `[${entity('a', '"attrs": {},\n "attrs": {}, "parents": []')}]`,
      '/p/a.cedar': PERMIT,
    },
    config: withEntities,
    expect: ['/p/e.json:2:2 cedar-entities found what is not JSON: duplicate key'],
  },
  'an integer that would be read as another one': {
    files: {
      '/p/e.json': `[${entity('a', '"attrs": {"n":\n9007199254740993}, "parents": []')}]`,
      '/p/a.cedar': PERMIT,
    },
    config: withEntities,
    expect: ['/p/e.json:2:1 cedar-entities found what is not JSON: integer beyond 2^53'],
  },
  'entities that are no list': {
    files: { '/p/e.json': '{}', '/p/a.cedar': PERMIT },
    config: withEntities,
    expect: ['/p/e.json:1:1 cedar-entities found no list'],
  },
  'every entity that is none': {
    files: {
      '/p/e.json': `[\n${entity('a')},\n${entity('b', '"attrs": {}, "parents": [], "tag": {}')},\n7,\n${entity('c', '"attrs": { "n": 1.5 }, "parents": []')},\n${entity('a')},\n{ "uid": "x", "attrs": {}, "parents": [] }\n]`,
      '/p/a.cedar': PERMIT,
    },
    config: withEntities,
    expect: [
      '/p/e.json:3:69 cedar-entities found the unknown key "tag"',
      '/p/e.json:4:1 cedar-entities found no entity',
      '/p/e.json:5:57 cedar-entities found a number with a fraction',
      '/p/e.json:6:10 cedar-entities found the entity User::"a" a second time',
      '/p/e.json:7:10 cedar-entities found no uid',
    ],
  },
  'every entity that Cedar does not take': {
    files: {
      '/p/e.json': `[\n${entity('a', '"attrs": {}')},\n${entity('b')},\n${entity('c', undefined, 'U U')}]`,
      '/p/a.cedar': PERMIT,
    },
    config: withEntities,
    expect: [/^\/p\/e\.json:2:1 cedar-entities .*missing field `parents`/, '/p/e.json:4:1 cedar-entities'],
  },
  'every entity that does not fit the schema': {
    files: {
      '/p/s.cedarschema': SCHEMA,
      '/p/e.json': `[${entity('a')},\n  ${entity('b', '"attrs": { "name": 1 }, "parents": []')}, ${entity('1', undefined, 'Account')}]`,
      '/p/a.cedar': PERMIT,
    },
    config: { ...withSchema, ...withEntities },
    expect: [/^\/p\/e\.json:2:3 cedar-entities .*`name`/, /^\/p\/e\.json:2:\d+ cedar-entities .*`owner`/],
  },
  'entities that are their own ancestors': {
    files: {
      '/p/e.json': `[${entity('a', '"attrs": {}, "parents": [{ "type": "User", "id": "b" }]')}, ${entity('b', '"attrs": {}, "parents": [{ "type": "User", "id": "a" }]')}]`,
      '/p/a.cedar': PERMIT,
    },
    config: withEntities,
    expect: [/^\/p\/e\.json:1:1 cedar-entities .*cycle/],
  },
}

describe('loading a Cedar engine reports', () => {
  for (const [name, mistake] of Object.entries({ ...policyMistakes, ...schemaMistakes, ...entityMistakes })) {
    it(name, () => {
      const found = reported(mistake.files, mistake.config)
      assert.equal(found.length, mistake.expect.length, found.join('\n'))
      for (const [index, expected] of mistake.expect.entries()) {
        const line = found[index] ?? ''
        if (typeof expected === 'string') assert.equal(line.slice(0, expected.length), expected)
        else assert.match(line, expected)
        assert.doesNotMatch(line, /\n/)
      }
    })
  }

  it('files that there are not, at the entry', () => {
    const { problems } = prepareCedar({}, { schema: '/p/s.cedarschema', entities: '/p/e.json' })
    assert.deepEqual(
      problems.map(({ path }) => path),
      [['policies', 0], ['schema'], ['entities']],
    )
  })

  it('nothing when nothing is wrong', () => {
    const files = {
      '/p/s.cedarschema': SCHEMA,
      '/p/e.json': `\ufeff[${entity('a', '"attrs": {}, "parents": [{ "type": "Group", "id": "g" }]')}]`,
      '/p/a.cedar': `\ufeff${PERMIT}// the end`,
      '/p/b.cedar': '// no policy here\r\n',
    }
    assert.deepEqual(reported(files, { ...withSchema, ...withEntities }), [])
  })
})

describe('the policy version', () => {
  const files: Files = {
    '/p/a.cedar': PERMIT,
    '/p/b.cedar': PERMIT,
    '/p/s.cedarschema': SCHEMA,
    '/p/e.json': '[]',
  }
  const all = { ...withSchema, ...withEntities }
  const versionOf = (changed: Files = {}, config: Parameters<typeof prepareCedar>[1] = all): string => {
    const { findings, create } = prepareCedar({ ...files, ...changed }, config)
    assert.deepEqual(findings, [])
    return create().policyVersion()
  }

  it('is a SHA-256 that does not depend on the order of files, patterns, or where they are', () => {
    const version = versionOf()
    assert.match(version, /^sha256:[0-9a-f]{64}$/)
    assert.equal(versionOf({}, { ...all, policies: ['/p/b.cedar', '/p/*.cedar', '/p/a.cedar'] }), version)
    const moved = { '/q/r/b.cedar': PERMIT, '/q/r/a.cedar': PERMIT }
    assert.equal(versionOf(moved, { ...all, policies: ['/q/**.cedar'] }), version)
  })

  it('changes with every byte of policies, schema and entities, and with what names policies', () => {
    const moved = { '/q/b.cedar': PERMIT, '/q/c.cedar': PERMIT }
    const versions = [
      versionOf(),
      versionOf({ '/p/a.cedar': `${PERMIT} ` }),
      versionOf({ '/p/a.cedar': `${PERMIT}${PERMIT}`, '/p/b.cedar': '' }),
      versionOf({ '/p/a.cedar': '', '/p/b.cedar': `${PERMIT}${PERMIT}` }),
      versionOf({ '/p/s.cedarschema': `${SCHEMA} ` }),
      versionOf({ '/p/e.json': '[ ]' }),
      versionOf({}, withSchema),
      versionOf({}, withEntities),
      versionOf({}, {}),
      versionOf(moved, { ...all, policies: ['/q/*.cedar'] }),
    ]
    assert.equal(new Set(versions).size, versions.length)
  })
})
