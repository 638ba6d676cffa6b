import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { z } from 'zod'
import { secret } from '../../../src/core/secret.ts'
import type { Settings } from '../../../src/core/settings.ts'
import { routeMappingFields } from '../../../src/gateway/bind/config.ts'
import type { MappingSource } from '../../../src/gateway/bind/plan.ts'
import { problemsOf } from './binding.ts'

const context = (value: string): Partial<MappingSource> => ({
  evaluation: { action: 'read', resource: { type: 'A', id: '1' }, context: { value } },
})

interface Expected {
  readonly source: Partial<MappingSource>
  readonly path: readonly (string | number)[]
  readonly offset?: number
  readonly says: RegExp
}
const AT = ['evaluation', 'context', 'value']

const CASES: ReadonlyMap<string, Expected> = new Map<string, Expected>([
  ['a syntax error', { source: context('$1 + '), path: AT, offset: 5, says: /Unexpected token/ }],
  ['an empty expression', { source: context('$'), path: AT, offset: 1, says: /Unexpected token/ }],
  [
    'an unknown name',
    {
      source: context('$clams.sub'),
      path: AT,
      offset: 1,
      says: /unknown name "clams".*did you mean "claims"/,
    },
  ],
  [
    'a capture that the template lacks',
    {
      source: context('$path.accountid'),
      path: AT,
      offset: 6,
      says: /has accountId; did you mean "accountId"/,
    },
  ],
  [
    'the same by an index',
    { source: context('$path["accountid"]'), path: AT, offset: 6, says: /did you mean "accountId"/ },
  ],
  [
    'a capture where there are none',
    { source: { ...context('$path.id'), captures: [] }, path: AT, offset: 6, says: /has nothing/ },
  ],
  [
    'an unknown member of request',
    { source: context('$request.metod'), path: AT, offset: 9, says: /did you mean "method"/ },
  ],
  [
    'an unknown member of credential',
    { source: context('$credential.age'), path: AT, offset: 12, says: /credential has no "age"/ },
  ],
  [
    'an unknown member of subject',
    { source: context('$subject.groups'), path: AT, offset: 9, says: /has type, id, properties/ },
  ],
  [
    'request as a whole',
    { source: context('$request'), path: AT, offset: 1, says: /read by a literal name/ },
  ],
  [
    'a computed member',
    { source: context('$request[claims.x]'), path: AT, offset: 1, says: /read by a literal name/ },
  ],
  [
    'all headers',
    { source: context('$request.headers'), path: AT, offset: 1, says: /read by a literal name/ },
  ],
  [
    'a computed header',
    { source: context('$request.headers[claims.x]'), path: AT, offset: 1, says: /read by a literal name/ },
  ],
  [
    'a header in upper case',
    {
      source: context('$request.headers["X-Tenant"]'),
      path: AT,
      offset: 17,
      says: /did you mean "x-tenant"/,
    },
  ],
  [
    'the header of the credential',
    { source: context('$request.headers.authorization'), path: AT, says: /credentials cannot be mapped/ },
  ],
  [
    'a header of ours',
    { source: context('$request.headers["sallyport-task"]'), path: AT, says: /takes it from every request/ },
  ],
  [
    'a header that another route sets',
    {
      source: {
        ...context('$request.headers["x-remote-user"]'),
        unreadableHeaders: new Set(['x-remote-user']),
      },
      path: AT,
      says: /cannot be read/,
    },
  ],
  [
    'an unknown function',
    { source: context('$sise(claims)'), path: AT, offset: 1, says: /did you mean "size"/ },
  ],
  [
    'an unknown method',
    { source: context('$path.accountId.startWith("4")'), path: AT, says: /did you mean "startsWith"/ },
  ],
  [
    'a type error',
    { source: context('$request.method + 1'), path: AT, offset: 1, says: /no such overload: string \+ int/ },
  ],
  [
    'a wrong argument',
    { source: context('$request.method.startsWith(1)'), path: AT, says: /no matching overload/ },
  ],
  ['bytes', { source: context('$b"x"'), path: AT, offset: 1, says: /no form in JSON/ }],
  ['a duration', { source: context('$duration("1s")'), path: AT, says: /no form in JSON/ }],
  [
    'a duration that is computed',
    { source: context('$request.time + duration(path.accountId)'), path: AT, offset: 25, says: /literal/ },
  ],
  ['a type', { source: context('$type(1)'), path: AT, says: /no form in JSON/ }],
  ['JSON in JSON', { source: context('$bytes(path.accountId).json().a'), path: AT, says: /duplicate keys/ }],
  [
    'a computed key of a map',
    { source: context('$ {path.accountId: 1}'), path: AT, offset: 3, says: /literal strings/ },
  ],
  [
    'a poisonous key of a map',
    { source: context("$ {'constructor': 1}"), path: AT, says: /cannot be a key/ },
  ],
  [
    'a variable that hides a root',
    { source: context('$[1].all(claims, claims > 0)'), path: AT, offset: 9, says: /already has a meaning/ },
  ],
  [
    'a pattern that backtracks',
    { source: context("$path.accountId.matches('^(a+)+$')"), path: AT, offset: 24, says: /unsafe/ },
  ],
  [
    'a pattern without anchor',
    { source: context("$path.accountId.matches('[0-9]+$')"), path: AT, says: /anchor it/ },
  ],
  [
    'a pattern that does not compile',
    { source: context("$path.accountId.matches('(')"), path: AT, says: /not a regular expression/ },
  ],
  [
    'a pattern that is computed',
    { source: context('$path.accountId.matches(claims.x)'), path: AT, offset: 24, says: /literal pattern/ },
  ],
  [
    'a secret outside of headers',
    { source: context('$secrets.token'), path: AT, offset: 1, says: /secrets cannot be read here/ },
  ],
  [
    'null',
    {
      source: { evaluation: { action: 'a', resource: { type: 'A', id: '1' }, context: { x: null } } },
      path: ['evaluation', 'context', 'x'],
      says: /null/,
    },
  ],
  [
    'a mistake deep in a list',
    {
      source: {
        evaluation: { action: 'a', resource: { type: 'A', id: '1', properties: { x: [1, { y: '$nope' }] } } },
      },
      path: ['evaluation', 'resource', 'properties', 'x', 1, 'y'],
      offset: 1,
      says: /unknown name/,
    },
  ],
  [
    'an id that is a number',
    {
      source: { evaluation: { action: 'a', resource: { type: 'A', id: '$1' } } },
      path: ['evaluation', 'resource', 'id'],
      offset: 1,
      says: /of type int, expected string/,
    },
  ],
  [
    'an empty id',
    {
      source: { evaluation: { action: 'a', resource: { type: 'A', id: '' } } },
      path: ['evaluation', 'resource', 'id'],
      says: /empty/,
    },
  ],
  [
    'an action with NUL',
    {
      source: { evaluation: { action: 'a\0', resource: { type: 'A', id: '1' } } },
      path: ['evaluation', 'action'],
      says: /NUL/,
    },
  ],
  [
    'the long form of an action',
    {
      source: { evaluation: { action: { name: '$nope' }, resource: { type: 'A', id: '1' } } },
      path: ['evaluation', 'action', 'name'],
      offset: 1,
      says: /unknown name/,
    },
  ],
  [
    'a property of the subject',
    {
      source: {
        evaluation: {
          subject: { properties: { a: '$nope' } },
          action: 'a',
          resource: { type: 'A', id: '1' },
        },
      },
      path: ['evaluation', 'subject', 'properties', 'a'],
      offset: 1,
      says: /unknown name/,
    },
  ],
  [
    'an item without resource',
    {
      source: { evaluations: { action: 'a', evaluations: [{}] } },
      path: ['evaluations', 'evaluations', 0],
      says: /no resource/,
    },
  ],
  [
    'a default that every item replaces',
    {
      source: {
        evaluations: { action: '$nope', evaluations: [{ action: 'a', resource: { type: 'A', id: '1' } }] },
      },
      path: ['evaluations', 'action'],
      offset: 1,
      says: /unknown name/,
    },
  ],
  [
    'a mistake in an item',
    {
      source: { evaluations: { action: 'a', evaluations: [{ resource: { type: 'A', id: '$body.' } }] } },
      path: ['evaluations', 'evaluations', 0, 'resource', 'id'],
      offset: 6,
      says: /Expected IDENTIFIER/,
    },
  ],
  [
    'no mapping at all',
    { source: { evaluation: undefined }, path: [], says: /neither evaluation nor evaluations/ },
  ],
  [
    'two mappings',
    {
      source: {
        evaluation: { action: 'a', resource: { type: 'A', id: '1' } },
        evaluations: { action: 'a', resource: { type: 'A', id: '1' }, evaluations: [{}] },
      },
      path: ['evaluations'],
      says: /expected one of them/,
    },
  ],
  [
    'a mapping of a public route',
    {
      source: { access: 'public', evaluation: { action: 'a', resource: { type: 'A', id: '1' } } },
      path: ['evaluation'],
      says: /public/,
    },
  ],
  [
    'a subject on a public route',
    {
      source: { access: 'public', headers: { 'X-User': '$subject.id' } },
      path: ['headers', 'X-User'],
      offset: 1,
      says: /nobody is authenticated/,
    },
  ],
  [
    'Host',
    { source: { headers: { host: 'x' } }, path: ['headers', 'host'], says: /belongs to the connection/ },
  ],
  [
    'framing',
    {
      source: { headers: { 'Transfer-Encoding': 'x' } },
      path: ['headers', 'Transfer-Encoding'],
      says: /belongs to the connection/,
    },
  ],
  [
    'a header name of ours',
    {
      source: { headers: { 'sallyport-Assertion': 'x' } },
      path: ['headers', 'sallyport-Assertion'],
      says: /Sallyport alone/,
    },
  ],
  [
    'a header that is no token',
    { source: { headers: { 'X User': 'x' } }, path: ['headers', 'X User'], says: /name of a header/ },
  ],
  [
    'one header twice',
    { source: { headers: { 'X-A': 'x', 'x-a': 'y' } }, path: ['headers', 'x-a'], says: /twice/ },
  ],
  [
    'a line end in a header',
    { source: { headers: { 'X-A': 'x\r\nHost: y' } }, path: ['headers', 'X-A'], says: /cannot be the value/ },
  ],
  [
    'a list in a header',
    {
      source: { headers: { 'X-A': '$[1]' } },
      path: ['headers', 'X-A'],
      offset: 1,
      says: /of type list<int>/,
    },
  ],
  [
    'an unknown secret',
    {
      source: { headers: { 'X-A': '$secrets.toke' }, secrets: new Map([['token', secret('s')]]) },
      path: ['headers', 'X-A'],
      offset: 9,
      says: /did you mean "token"/,
    },
  ],
  [
    'all secrets',
    {
      source: { headers: { 'X-A': '$size(secrets) == 1' }, secrets: new Map([['token', secret('s')]]) },
      path: ['headers', 'X-A'],
      says: /such as secrets.token/,
    },
  ],
  ['a rewrite without slash', { source: { rewrite: 'v2' }, path: ['rewrite'], says: /slash/ }],
  ['a rewrite with dots', { source: { rewrite: '/v2/../x' }, path: ['rewrite'], says: /dot segment/ }],
  [
    'a rewrite that is not canonical',
    { source: { rewrite: '/v%32' }, path: ['rewrite'], says: /not in canonical form/ },
  ],
  ['a rewrite to a number', { source: { rewrite: '$1' }, path: ['rewrite'], offset: 1, says: /of type int/ }],
  [
    'an unknown name in a rewrite',
    { source: { rewrite: "$'/x/' + pth.id" }, path: ['rewrite'], offset: 9, says: /did you mean "path"/ },
  ],
])

describe('a mapping with a mistake', () => {
  for (const [what, { source, path, offset, says }] of CASES) {
    it(`is told of ${what}, at its place`, () => {
      const problems = problemsOf(source)
      const [problem] = problems
      assert.ok(problem !== undefined && problems.length === 1, JSON.stringify(problems))
      assert.deepEqual(problem.path, path)
      if (offset !== undefined) assert.equal(problem.offset, offset)
      assert.match(problem.message, says)
      assert.ok(!problem.message.includes('\n'), problem.message)
    })
  }

  it('is told of all of them at once', () => {
    const problems = problemsOf({
      evaluation: {
        action: '$nope',
        resource: { type: 'A', id: '$path.x' },
        context: { a: '$1 +', b: '$ok' },
      },
      headers: { Host: 'x' },
      rewrite: '//x',
    })
    assert.deepEqual(
      problems.map((problem) => problem.path.join('.')),
      [
        'evaluation.action',
        'evaluation.resource.id',
        'evaluation.context.a',
        'evaluation.context.b',
        'headers.Host',
        'rewrite',
      ],
    )
  })

  it('takes a variable of a comprehension, an optional and a map for what they are', () => {
    const fine = [
      "$claims.groups.exists(g, g.name == 'x' && g.level > 1)",
      '$cel.bind(total, body.a + body.b, total > 3.0)',
      "$optional.of(path.accountId).orValue('x')",
      "$ {'a': claims.?b, 'c': {'d': 1}}",
      '$type(body.x) == string',
      '$has(claims.a.b)',
      '$body[path.accountId]',
    ]
    for (const expression of fine) assert.deepEqual(problemsOf(context(expression)), [], expression)
  })
})

describe('the schema of a mapping', () => {
  // No field of a mapping is bound to a file.
  const fields = z.strictObject(routeMappingFields({} as Settings))

  it('has a JSON Schema', () => {
    const schema = z.toJSONSchema(fields, { io: 'input' })
    assert.deepEqual(Object.keys(schema.properties ?? {}), [
      'evaluation',
      'evaluations',
      'headers',
      'rewrite',
    ])
  })

  const good: ReadonlyMap<string, unknown> = new Map<string, unknown>([
    ['nothing', {}],
    ['the short form of an action', { evaluation: { action: 'read', resource: { type: 'A', id: '1' } } }],
    [
      'the long form',
      { evaluation: { action: { name: 'r', properties: { a: [1] } }, resource: { type: 'A', id: '1' } } },
    ],
    ['a list', { evaluations: { action: 'r', evaluations: [{ resource: { type: 'A', id: '1' } }] } }],
  ])
  for (const [what, value] of good) it(`takes ${what}`, () => assert.ok(fields.safeParse(value).success))

  const bad: ReadonlyMap<string, unknown> = new Map<string, unknown>([
    ['a subject id', { evaluation: { subject: { id: 'x' }, action: 'r', resource: { type: 'A', id: '1' } } }],
    ['an evaluation without resource', { evaluation: { action: 'r' } }],
    ['a resource without id', { evaluation: { action: 'r', resource: { type: 'A' } } }],
    ['an id that is a number', { evaluation: { action: 'r', resource: { type: 'A', id: 1 } } }],
    ['an empty list', { evaluations: { action: 'r', evaluations: [] } }],
    ['an unknown key', { evaluation: { action: 'r', resource: { type: 'A', id: '1' }, contxt: {} } }],
    ['a header that is a number', { headers: { 'X-A': 1 } }],
  ])
  for (const [what, value] of bad) it(`refuses ${what}`, () => assert.ok(!fields.safeParse(value).success))
})
