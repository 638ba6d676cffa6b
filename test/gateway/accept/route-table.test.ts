import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Problem } from '../../../src/core/problem.ts'
import type { Route } from '../../../src/core/route.ts'
import type { MatchConfig, MatchFlags } from '../../../src/gateway/accept/config.ts'
import {
  compileRoutes,
  type RouteTable,
  type RouteToCompile,
} from '../../../src/gateway/accept/route-table.ts'

type Entry =
  | MatchConfig
  | { readonly match: MatchConfig; readonly host?: string; readonly flags?: Partial<MatchFlags> }
type LongForm = Exclude<MatchConfig, string>

const FLAGS: MatchFlags = {
  ignoreCase: false,
  fallThrough: false,
  allowEncodedSlash: false,
  allowPathParameters: false,
}

const long = (match: Partial<LongForm> & { path: string }): LongForm => ({ headers: {}, query: {}, ...match })

const toCompile = (name: string, index: number, entry: Entry): RouteToCompile => {
  const { match, host, flags } = typeof entry === 'object' && 'match' in entry ? entry : { match: entry }
  const route: Route = {
    index,
    name,
    owner: 'o',
    access: 'protected',
    mode: 'enforce',
    authenticate: [],
    engine: 'e',
    upstream: 'u',
  }
  return { route, match, flags: { ...FLAGS, ...flags }, host }
}

const compile = (entries: Readonly<Record<string, Entry>>) => {
  const problems: [string, Problem][] = []
  const names = Object.keys(entries)
  const routes = Object.entries(entries).map(([name, entry], index) => toCompile(name, index, entry))
  const table = compileRoutes(routes, (index, problem) => problems.push([names[index] ?? '', problem]))
  return { table, problems }
}

const tableOf = (entries: Readonly<Record<string, Entry>>): RouteTable => {
  const { table, problems } = compile(entries)
  assert.deepEqual(problems, [])
  return table
}

/** `name {captures}`, `ambiguous`, or `none`. */
const ask = (
  table: RouteTable,
  target: string,
  { method = 'GET', host = 'h.example', port = '80', headers = [] as readonly string[] } = {},
): string => {
  const [path = '', query] = target.split('?')
  const names = headers.filter((_, index) => index % 2 === 0).map((name) => name.toLowerCase())
  const found = table.find({
    method,
    host,
    port,
    path,
    query: query === undefined ? '' : `?${query}`,
    headers,
    names,
  })
  if (found === null) return 'none'
  if ('ambiguous' in found) return 'ambiguous'
  const captures = Object.entries(found.path).map(([name, value]) => `${name}=${value}`)
  return [found.route.name, ...captures].join(' ')
}

describe('paths', () => {
  const table = tableOf({
    root: 'GET /',
    accounts: 'GET /accounts',
    mine: 'GET /accounts/me',
    number: 'GET /accounts/{id:[0-9]{1,3}}',
    account: 'GET /accounts/{id}',
    other: 'DELETE /accounts/{key}',
    owner: 'GET /accounts/{id}/owner',
    files: 'GET /files/{*rest}',
    logo: 'GET /files/logo/{name}',
    at: 'GET /users/@me',
    user: 'GET /users/{id}',
    umlaut: 'GET /stra%c3%9fe',
  })
  const cases: Readonly<Record<string, string>> = {
    '/': 'root',
    '/accounts': 'accounts',
    '/accounts/': 'accounts',
    '/accounts/me': 'mine',
    '/accounts/me/': 'mine',
    '/accounts/42': 'number id=42',
    '/accounts/4242': 'account id=4242',
    '/accounts/Me': 'account id=Me',
    '/accounts/p%20x': 'account id=p x',
    '/accounts/100%25': 'account id=100%',
    '/accounts/a%2Fb%20c': 'account id=a%2Fb%20c',
    '/accounts/me/owner': 'owner id=me',
    '/accounts/42/owner': 'owner id=42',
    '/accounts/42/nothing': 'none',
    '/files': 'files rest=',
    '/files/': 'files rest=',
    '/files/a/b%20c/': 'files rest=a/b c',
    '/files/logo': 'files rest=logo',
    '/files/logo/x': 'logo name=x',
    '/files/logo/x/y': 'files rest=logo/x/y',
    '/filesystem': 'none',
    '/users/@me': 'at',
    '/users/%40me': 'at',
    '/stra%C3%9Fe': 'umlaut',
    '/nothing': 'none',
  }
  for (const [path, expected] of Object.entries(cases)) {
    test(`${path} is ${expected}`, () => assert.equal(ask(table, path), expected))
  }

  test('captures have no prototype', () => {
    const tricky = tableOf({ a: 'GET /{constructor}/{toString}' })
    const found = tricky.find({
      method: 'GET',
      host: 'h',
      port: '80',
      path: '/x/y',
      query: '',
      headers: [],
      names: [],
    })
    assert.ok(found !== null && 'path' in found)
    assert.equal(Object.getPrototypeOf(found.path), null)
    assert.deepEqual({ ...found.path }, { constructor: 'x', toString: 'y' })
  })
})

describe('methods', () => {
  const table = tableOf({
    public: 'GET /{*rest}',
    read: 'GET /accounts/{id}',
    write: 'PUT,PATCH /accounts/{key}',
    any: '* /any',
    head: 'HEAD /own',
    own: 'GET /own',
    unless: { match: 'GET /open/{id}', flags: { fallThrough: true } },
    openRest: 'DELETE /open/{*rest}',
    mixed1: { match: 'GET /mixed/{id}', flags: { fallThrough: true } },
    mixed2: 'PUT /mixed/{id}',
    mixedRest: '* /mixed/{*rest}',
  })

  test('a method that does not fit is no route, never a less specific template', () => {
    assert.equal(ask(table, '/accounts/1', { method: 'DELETE' }), 'none')
    assert.equal(ask(table, '/accounts/1', { method: 'GET' }), 'read id=1')
    assert.equal(ask(table, '/accounts/1', { method: 'PATCH' }), 'write key=1')
    assert.equal(ask(table, '/accounts/1/x'), 'public rest=accounts/1/x')
  })

  test('every method is every method, also an unusual one', () => {
    for (const method of ['GET', 'HEAD', 'OPTIONS', 'PROPFIND'])
      assert.equal(ask(table, '/any', { method }), 'any')
  })

  test('HEAD follows GET, unless it has a route of its own', () => {
    assert.equal(ask(table, '/accounts/1', { method: 'HEAD' }), 'read id=1')
    assert.equal(ask(table, '/own', { method: 'HEAD' }), 'head')
    assert.equal(ask(table, '/own', { method: 'GET' }), 'own')
    assert.equal(ask(table, '/own', { method: 'POST' }), 'none')
  })

  test('a template that says fallThrough leaves the request to a less specific one', () => {
    assert.equal(ask(table, '/open/1', { method: 'DELETE' }), 'openRest rest=1')
    assert.equal(ask(table, '/open/1', { method: 'GET' }), 'unless id=1')
    assert.equal(ask(table, '/open/1', { method: 'PUT' }), 'none')
  })

  test('all routes of a template must say so', () => {
    assert.equal(ask(table, '/mixed/1', { method: 'DELETE' }), 'none')
  })
})

describe('hosts', () => {
  const table = tableOf({
    exact: { match: 'GET /', host: 'Bank.Example.com.' },
    port: { match: 'GET /', host: 'bank.example.com:8080' },
    secure: { match: 'GET /', host: 'shop.example.com:443' },
    suffix: { match: 'GET /', host: '*.example.com' },
    longer: { match: 'GET /', host: '*.eu.example.com' },
    suffixPort: { match: 'GET /', host: '*.example.com:99' },
    own: { match: long({ path: '/', host: 'own.example' }), host: 'bank.example.com' },
    ipv6: { match: 'GET /', host: '[0:0::1]' },
    any: 'GET /',
    everywhere: 'GET /health',
    tail: 'GET /{*rest}',
    bankRest: { match: 'POST /{*rest}', host: 'bank.example.com' },
  })
  const cases: readonly (readonly [host: string, port: string, expected: string])[] = [
    ['bank.example.com', '80', 'exact'],
    ['bank.example.com', '8080', 'port'],
    ['shop.example.com', '443', 'secure'],
    ['shop.example.com', '80', 'suffix'],
    ['shop.example.com', '99', 'suffixPort'],
    ['a.b.example.com', '80', 'suffix'],
    ['x.eu.example.com', '80', 'longer'],
    ['x.eu.example.com', '99', 'longer'],
    ['eu.example.com', '80', 'suffix'],
    ['example.com', '80', 'any'],
    ['notexample.com', '80', 'any'],
    ['own.example', '80', 'own'],
    ['[::1]', '80', 'ipv6'],
  ]
  for (const [host, port, expected] of cases) {
    test(`${host}:${port} is ${expected}`, () => assert.equal(ask(table, '/', { host, port }), expected))
  }

  test('a path that no template of the host fits may be one of a less specific host', () => {
    assert.equal(ask(table, '/health', { host: 'shop.example.com' }), 'everywhere')
    assert.equal(ask(table, '/x', { host: 'shop.example.com' }), 'tail rest=x')
  })

  test('the host is chosen before the template: a method that does not fit there is no route', () => {
    assert.equal(ask(table, '/health', { host: 'bank.example.com' }), 'none')
    assert.equal(ask(table, '/health', { host: 'bank.example.com', method: 'POST' }), 'bankRest rest=health')
  })
})

describe('conditions', () => {
  const table = tableOf({
    plain: 'GET /a',
    beta: long({ methods: ['GET'], path: '/a', headers: { 'X-Beta': 'yes' } }),
    kind: long({ methods: ['GET'], path: '/a', query: { kind: 'x y' } }),
    both: long({ methods: ['GET'], path: '/a', headers: { 'x-beta': 'yes' }, query: { kind: 'x y' } }),
    present: long({ methods: ['GET'], path: '/b', query: { admin: true } }),
    absent: long({ methods: ['GET'], path: '/b', query: { admin: false } }),
    only: long({ methods: ['GET'], path: '/c', headers: { 'x-only': true } }),
    rest: 'GET /{*rest}',
  })
  const beta = ['X-Beta', 'yes']

  test('the route with the most conditions that fit is the one', () => {
    assert.equal(ask(table, '/a'), 'plain')
    assert.equal(ask(table, '/a', { headers: beta }), 'beta')
    assert.equal(ask(table, '/a', { headers: ['X-Beta', 'no'] }), 'plain')
    assert.equal(ask(table, '/a?kind=x+y'), 'kind')
    assert.equal(ask(table, '/a?z&%6Bind=x%20y&'), 'kind')
    assert.equal(ask(table, '/a?kind=x+y', { headers: beta }), 'both')
    assert.equal(ask(table, '/a?kind=z', { headers: beta }), 'beta')
  })

  test('a condition that does not fit is no route, never a less specific template', () => {
    assert.equal(ask(table, '/c'), 'none')
    assert.equal(ask(table, '/c', { headers: ['X-Only', ''] }), 'only')
  })

  test('presence and absence', () => {
    assert.equal(ask(table, '/b?admin'), 'present')
    assert.equal(ask(table, '/b?x=admin'), 'absent')
    assert.equal(ask(table, '/b'), 'absent')
  })

  test('what an application could read in another way is ambiguous', () => {
    assert.equal(ask(table, '/a?kind=x+y&kind=z'), 'ambiguous')
    assert.equal(ask(table, '/a?Kind=x+y'), 'ambiguous')
    assert.equal(ask(table, '/b?Admin=1'), 'ambiguous')
    assert.equal(ask(table, '/a', { headers: [...beta, 'x-beta', 'yes'] }), 'ambiguous')
  })
})

describe('without case', () => {
  const table = tableOf({
    folded: { match: 'GET /Admin/{id:[a-z]+}', flags: { ignoreCase: true } },
    exact: 'GET /admin/x/{id}',
    strict: 'GET /strict',
    rest: 'GET /{*rest}',
  })

  test('literals and patterns of the route fit in any case, and captures keep theirs', () => {
    assert.equal(ask(table, '/ADMIN/AbC'), 'folded id=AbC')
    assert.equal(ask(table, '/admin/abc'), 'folded id=abc')
  })

  test('other routes stay exact', () => {
    assert.equal(ask(table, '/admin/x/1'), 'exact id=1')
    assert.equal(ask(table, '/STRICT'), 'rest rest=STRICT')
  })
})

describe('mistakes', () => {
  const only = (entries: Readonly<Record<string, Entry>>): readonly [string, Problem] => {
    const { problems } = compile(entries)
    assert.equal(problems.length, 1, JSON.stringify(problems))
    const [first] = problems
    assert.ok(first)
    return first
  }

  const twins: Readonly<Record<string, readonly [Entry, Entry]>> = {
    'the same path': ['GET /a', 'GET /a'],
    'a trailing slash': ['GET /a', 'GET /a/'],
    'another spelling': ['GET /a', 'GET /%61'],
    'other names for captures': ['GET /a/{x}', 'GET /a/{y}'],
    'overlapping methods': ['GET,PUT /a', 'DELETE,PUT /a'],
    'every method and one': ['* /a', 'PUT /a'],
    'one method and every': ['PUT /a', '* /a'],
    'another spelling of the host': [
      { match: 'GET /a', host: 'h.example' },
      { match: 'GET /a', host: 'H.Example.' },
    ],
    'the same tail': ['GET /{*a}', 'GET /{*b}'],
    'the same pattern': ['GET /{a:x+}', 'GET /{b:x+}'],
    'the same path without case': [
      { match: 'GET /A', flags: { ignoreCase: true } },
      { match: 'GET /a', flags: { ignoreCase: true } },
    ],
    'the same conditions in another order': [
      long({ path: '/a', headers: { A: '1', b: '2' } }),
      long({ path: '/a', headers: { B: '2', a: '1' } }),
    ],
  }
  for (const [name, [first, second]] of Object.entries(twins)) {
    test(`two routes with ${name} can never be told apart`, () => {
      const [route, problem] = only({ first, second })
      assert.equal(route, 'second')
      assert.equal(problem.rule, 'ambiguous-route')
      assert.match(problem.message, /"first"/)
    })
  }

  test('routes that can be told apart are fine', () => {
    tableOf({
      a: 'GET /a',
      b: 'PUT /a',
      c: 'GET /A',
      d: { match: 'GET /a', host: 'x.example' },
      e: { match: 'GET /a', host: 'x.example:80' },
      f: { match: 'GET /a', host: '*.example' },
      g: long({ methods: ['GET'], path: '/a', query: { x: '1' } }),
      h: long({ methods: ['GET'], path: '/a', query: { x: '2' } }),
      i: 'GET /{x}',
      j: 'GET /{x:y}',
      k: 'GET /{*x}',
      l: { match: 'GET /a', flags: { ignoreCase: true } },
      m: 'HEAD /a',
    })
  })

  const mistakes: readonly (readonly [
    name: string,
    entry: Entry,
    rule: string | undefined,
    path: string,
    offset?: number,
  ])[] = [
    ['a match without a path', 'GET', undefined, 'match'],
    ['a match without methods', '/a', undefined, 'match'],
    ['two spaces', 'GET  /a', undefined, 'match'],
    ['a method in lower case', 'get /a', undefined, 'match'],
    ['a method that nobody knows', 'GET,FOO /a', undefined, 'match'],
    ['CONNECT', 'CONNECT /a', undefined, 'match'],
    ['a method twice', 'GET,GET /a', undefined, 'match'],
    [
      'a method that nobody knows, long form',
      long({ methods: ['GET', 'FOO'], path: '/a' }),
      undefined,
      'match.methods.1',
    ],
    [
      'a header name that is none',
      long({ path: '/a', headers: { 'a b': '1' } }),
      undefined,
      'match.headers.a b',
    ],
    ['a header name twice', long({ path: '/a', headers: { A: '1', a: '1' } }), undefined, 'match.headers.a'],
    ['Host among the headers', long({ path: '/a', headers: { Host: 'x' } }), undefined, 'match.headers.Host'],
    ['a dot segment', 'GET /a/../b', 'path-template', 'match', 7],
    ['a dot segment, long form', long({ path: '/a/../b' }), 'path-template', 'match.path', 3],
    ['a capture twice', 'GET /{a}/{a}', 'path-template', 'match', 9],
    ['an encoded slash without its opt-in', 'GET /a%2Fb', 'path-template', 'match', 4],
    ['a semicolon without its opt-in', 'GET /a;b', 'path-template', 'match', 4],
    ['a reserved path', 'GET /.sallyport/x', 'reserved-path', 'match', 4],
    ['a reserved path in disguise', 'GET /.well-known/%53allyport/{*rest}', 'reserved-path', 'match', 4],
    ['the reserved folder itself', 'GET /.sallyport', 'reserved-path', 'match', 4],
    ['a pattern that does not compile', 'GET /{a:(}', 'regular-expression', 'match', 8],
    ['a pattern that closes our group', 'GET /{a:x)|(?:y}', 'regular-expression', 'match', 8],
    ['a catastrophic pattern', 'GET /x/{a:(a+)+}', 'regular-expression', 'match', 10],
    ['a catastrophic pattern of alternatives', 'GET /{a:(x|x)*}', 'regular-expression', 'match', 8],
    [
      'a pattern that is catastrophic without case',
      { match: 'GET /{a:(x|X)*}', flags: { ignoreCase: true } },
      'regular-expression',
      'match',
      8,
    ],
    [
      'a pattern that cannot be checked without case',
      { match: 'GET /{a:\\p{L}+}', flags: { ignoreCase: true } },
      'regular-expression',
      'match',
      8,
    ],
    ['a host that is none', { match: 'GET /a', host: 'a b' }, 'host', 'host'],
    ['a wildcard inside of a host', { match: 'GET /a', host: 'a.*.example' }, 'host', 'host'],
    ['a host that is only a wildcard', { match: 'GET /a', host: '*' }, 'host', 'host'],
    ['a host with a scheme', long({ path: '/a', host: 'https://a' }), 'host', 'match.host'],
  ]
  for (const [name, entry, rule, path, offset] of mistakes) {
    test(`${name} is told at its place`, () => {
      const [, problem] = only({ it: entry })
      assert.equal(problem.path.join('.'), path)
      assert.equal(problem.rule, rule)
      assert.equal(problem.offset, offset)
    })
  }

  test('opt-ins make their literals fine', () => {
    tableOf({
      slash: { match: 'GET /a%2Fb', flags: { allowEncodedSlash: true } },
      parameters: { match: 'GET /a;b', flags: { allowPathParameters: true } },
    })
  })

  test('one route’s mistake does not hide another’s', () => {
    const { problems } = compile({ a: 'GET a', b: 'GET /{x', c: { match: 'GET /{y:(}', host: '' } })
    assert.deepEqual(
      problems.map(([name]) => name),
      ['a', 'b', 'c', 'c'],
    )
  })
})

describe('ten thousand routes', () => {
  const entries = Object.fromEntries(
    Array.from({ length: 10_000 }, (_, index) => [
      `r${index}`,
      `GET /team${index % 100}/thing${index}/{id:[0-9]+}/part/{name}`,
    ]),
  )

  test('are found one by one', () => {
    const table = tableOf(entries)
    for (let index = 0; index < 10_000; index += 97) {
      assert.equal(ask(table, `/team${index % 100}/thing${index}/7/part/x`), `r${index} id=7 name=x`)
      assert.equal(ask(table, `/team${index % 100}/thing${index}/x/part/x`), 'none')
    }
  })
})

const segment = fc.constantFrom('a', 'b', 'ab', '{x}', '{x:a+}', '{x:[ab]+}')
const templates = fc.tuple(fc.array(segment, { maxLength: 4 }), fc.boolean()).map(([segments, rest]) => {
  const named = segments.map((text, index) => text.replace('x', `x${index}`))
  return `/${[...named, ...(rest ? ['{*rest}'] : [])].join('/')}`
})
const paths = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', 'ab', 'aa', 'c'), { maxLength: 5 }), fc.boolean())
  .map(([segments, slash]) => (segments.length === 0 ? '/' : `/${segments.join('/')}${slash ? '/' : ''}`))

/** The most specific of the templates that fit, found by looking at each of them. */
const naive = (all: readonly string[], path: string): string | null => {
  const values = path.split('/').filter((text) => text !== '')
  const rankOf = (template: string): string | null => {
    const segments = template.split('/').filter((text) => text !== '')
    const tail = segments.at(-1)?.startsWith('{*') === true
    if (tail ? values.length < segments.length - 1 : values.length !== segments.length) return null
    let rank = ''
    for (const [index, text] of segments.entries()) {
      if (text.startsWith('{*')) return `${rank}9`
      const pattern = /^\{\w+(?::(.*))?\}$/.exec(text)
      const value = values[index] ?? ''
      if (pattern === null) {
        if (text !== value) return null
        rank += '1'
      } else if (pattern[1] !== undefined) {
        if (!new RegExp(`^(?:${pattern[1]})$`).test(value)) return null
        // Patterns go in the order of the configuration.
        rank += `2${String(firstWith(all, segments.slice(0, index + 1))).padStart(3, '0')}`
      } else rank += '3'
    }
    return rank
  }
  const ranked = all
    .map((template) => [rankOf(template), template] as const)
    .filter(([rank]) => rank !== null)
  ranked.sort(([left], [right]) => ((left ?? '') < (right ?? '') ? -1 : 1))
  return ranked[0]?.[1] ?? null
}

const firstWith = (all: readonly string[], prefix: readonly string[]): number => {
  const shapeOf = (segments: readonly string[]): string => segments.join('/').replace(/\{\w+/g, '{')
  return all.findIndex(
    (template) =>
      shapeOf(
        template
          .split('/')
          .filter((text) => text !== '')
          .slice(0, prefix.length),
      ) === shapeOf(prefix),
  )
}

test('for random templates and paths, the trie finds what a look at every template finds', () => {
  const shapes = fc.uniqueArray(templates, { selector: (text) => text.replace(/\{\w+/g, '{'), maxLength: 12 })
  fc.assert(
    fc.property(shapes, fc.array(paths, { minLength: 1, maxLength: 8 }), (all, asked) => {
      const table = tableOf(Object.fromEntries(all.map((template) => [template, `GET ${template}`])))
      for (const path of asked) {
        const found = ask(table, path).split(' ')[0]
        assert.equal(found, naive(all, path) ?? 'none', `${path} in ${all.join(' ')}`)
      }
    }),
    { numRuns: 500 },
  )
})
