import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { parseBySchema } from '../../../src/config/schema-problems.ts'
import { createSettings } from '../../../src/config/settings.ts'
import { limitsConfig, listenerConfig, routeMatchFields } from '../../../src/gateway/accept/config.ts'
import { matchCaptures, matchHeaderNames, matchHost } from '../../../src/gateway/accept/match.ts'

const settings = createSettings({
  file: () => '/etc/sallyport.yaml',
  env: {},
  readSecret: () => 'no secrets here',
})
const route = z.strictObject(routeMatchFields(settings))

test('limits have the documented defaults', () => {
  assert.deepEqual(limitsConfig(settings).parse({}), {
    headerBytes: 16_384,
    bodyBytes: 1_048_576,
    headersTimeout: 10_000,
    requestTimeout: 60_000,
    bodyMinRate: 100,
    stallTimeout: 60_000,
    keepAliveTimeout: 75_000,
    connections: 10_000,
    connectionsPerAddress: 5000,
  })
})

describe('binds', () => {
  const bind = (text: string): boolean => listenerConfig(settings).safeParse({ bind: text }).success
  for (const text of ['0.0.0.0:8080', '[::1]:8080', '[::]:0', 'localhost:1', 'gw-1.example.com:443']) {
    test(`${text} is one`, () => assert.ok(bind(text)))
  }
  for (const text of [
    '8080',
    ':8080',
    '0.0.0.0',
    '::1:8080',
    '[::1]',
    'a b:1',
    'a:-1',
    'a:01',
    'http://a:1',
    'a:1/',
  ]) {
    test(`${text} is none`, () => assert.ok(!bind(text)))
  }
})

test('only forwarding headers can be believed', () => {
  const parse = (header: string) =>
    listenerConfig(settings).safeParse({
      bind: 'a:1',
      trustedProxies: [{ cidrs: ['10.0.0.0/8'], headers: [header] }],
    }).success
  assert.ok(parse('forwarded'))
  assert.ok(!parse('x-real-ip'))
})

test('flags of a route are off until they are said', () => {
  assert.deepEqual(route.parse({ match: 'GET /a' }), {
    match: 'GET /a',
    ignoreCase: false,
    fallThrough: false,
    allowEncodedSlash: false,
    allowPathParameters: false,
  })
})

test('mistakes in the long form of a match are told inside of it', () => {
  const { problems } = parseBySchema(route, { match: { paht: '/a', methods: ['GET'], query: { a: 1 } } })
  const told = problems?.map(({ path }) => path.join('.')).sort()
  assert.deepEqual(told, ['match.paht', 'match.path', 'match.query.a'])
})

test('host, captures and condition headers of a match are told in both forms', () => {
  const form = route.parse({ match: { path: '/a/{x}', host: 'a.example', headers: { 'X-A': true } } }).match
  assert.deepEqual(matchCaptures('GET /a/{x}/{*rest}'), ['x', 'rest'])
  assert.deepEqual(matchCaptures(form), ['x'])
  assert.deepEqual(matchCaptures('nonsense'), [])
  assert.equal(matchHost('GET /', 'b.example'), 'b.example')
  assert.equal(matchHost(form, 'b.example'), 'a.example')
  assert.deepEqual(matchHeaderNames(form), ['x-a'])
  assert.deepEqual(matchHeaderNames('GET /'), [])
})

test('the schemas can be told as JSON Schema', () => {
  const schema = z.toJSONSchema(
    z.strictObject({ listener: listenerConfig(settings), route, limits: limitsConfig(settings) }),
    {
      io: 'input',
    },
  )
  assert.ok(JSON.stringify(schema).includes('GET /accounts/{id}'))
})
