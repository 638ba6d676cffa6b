import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { parse, stringify } from 'yaml'
import { addCheck } from '../../src/cli/check.ts'
import { addImport } from '../../src/cli/import.ts'
import { addTest } from '../../src/cli/test.ts'
import { type Ran, runCommand } from '../support/command.ts'
import { layOut } from '../support/gateway.ts'
import { cloud, codeHost, payments } from './openapi-documents.ts'

const GATEWAY = `version: 1
listeners: [{ bind: "127.0.0.1:8080" }]
authenticators: { staff: { type: jwt, issuer: https://idp.example.com, audience: app, jwksUri: https://idp.example.com/keys } }
engines: { main: { type: cedar, policies: [policies.cedar] } }
upstreams: { app: { url: "http://127.0.0.1:9000" } }
audit: [{ type: file, path: decisions.ndjson }]
routes: [routes.yaml]
`

describe('sallyport import openapi', () => {
  let directory: string
  before(() => {
    directory = layOut({
      'sallyport.yaml': GATEWAY,
      'policies.cedar': '@id("all") permit (principal, action, resource);\n',
    })
  })
  after(() => rmSync(directory, { recursive: true, force: true }))

  const at = (name: string): string => join(directory, name)

  const imported = async (document: unknown, ...args: readonly string[]): Promise<Ran> => {
    writeFileSync(at('openapi.yaml'), typeof document === 'string' ? document : stringify(document))
    return runCommand(addImport, ['import', 'openapi', at('openapi.yaml'), ...args])
  }

  const documents = { 'a code host': codeHost(), 'a payment service': payments(), 'a cloud': cloud() }
  for (const [name, document] of Object.entries(documents)) {
    test(`makes a map of ${name} that check accepts, and tests that it passes`, async () => {
      const { status, stdout } = await imported(document, '--tests', at('map.test.yaml'))
      assert.equal(status, 0)
      writeFileSync(at('routes.yaml'), stdout)
      const { routes } = parse(stdout)
      assert.ok(routes.length >= 100, `${routes.length} operations`)
      assert.ok(routes.every(({ match }: { match: unknown }) => typeof match === 'string'))
      assert.ok(routes.every((route: object) => !('access' in route)))
      const checked = await runCommand(addCheck, ['check', '--json', '--config', at('sallyport.yaml')])
      const errors = JSON.parse(checked.stdout).findings.filter(
        ({ severity }: { severity: string }) => severity === 'error',
      )
      assert.deepEqual(errors, [])
      const tested = await runCommand(addTest, [
        'test',
        '--coverage',
        '--config',
        at('sallyport.yaml'),
        at('map.test.yaml'),
      ])
      assert.equal(tested.status, 0, tested.stdout.slice(0, 2000) + tested.stderr.slice(0, 2000))
      assert.match(tested.stdout, new RegExp(`${routes.length} of ${routes.length} routes are tested`))
    })
  }

  const routeOf = (map: string, name: string): Readonly<Record<string, unknown>> =>
    parse(map).routes.find((route: { name: string }) => route.name === name)

  test('reads the question off method and path, with the base path of the server', async () => {
    const { stdout } = await imported(codeHost())
    assert.deepEqual(parse(stdout).defaults, {
      host: 'code.example.com',
      upstream: 'app',
      engine: 'main',
      authenticate: ['staff'],
    })
    assert.deepEqual(routeOf(stdout, 'issues/get'), {
      name: 'issues/get',
      match: 'GET /api/v3/repos/{owner}/{repo}/issues/{issueId}',
      evaluation: { action: 'read', resource: { type: 'Issue', id: '$path.issueId' } },
    })
    assert.deepEqual(routeOf(stdout, 'issues/lock').evaluation, {
      action: 'update-lock',
      resource: { type: 'Issue', id: '$path.issueId' },
    })
    assert.equal(
      routeOf(stdout, 'repos/compare-commits').match,
      'GET /api/v3/repos/{owner}/{repo}/compare/{baseAndHead:[^\\.]+\\.\\.\\..+}',
    )
    assert.match(stdout, /# {3}token: \{ type: jwt, issuer: … \}, or introspection/)
    assert.match(stdout, /# The document asks for no credential here; access: public would/)
  })

  test('honours x-authzen', async () => {
    const { stdout } = await imported(payments())
    assert.deepEqual(routeOf(stdout, 'reverse_transfer').evaluation, {
      action: 'reverse',
      resource: { type: 'Transfer', id: '$path.transfer' },
      context: { amount: '$body.amount' },
    })
  })

  test('tells what it leaves out', async () => {
    const { stdout, stderr } = await imported(cloud())
    assert.match(stderr, /left out: GET \/v1\/broken\/\{a: no path template can say this/)
    assert.match(stderr, /left out: \/v1\/elsewhere: what it refers to is not in the document/)
    assert.match(stdout, /# Left out: GET \/v1\/broken/)
  })

  test('takes JSON and other names, and prints tests alone', async () => {
    const args = [
      '--upstream',
      'bank',
      '--engine',
      'e',
      '--authenticate',
      'a, b',
      '--owner',
      'team',
      '--host',
      'h.example',
    ]
    const { stdout } = await imported(JSON.stringify(payments()), ...args)
    const { owner, defaults } = parse(stdout)
    assert.deepEqual(
      { owner, ...defaults },
      { owner: 'team', host: 'h.example', upstream: 'bank', engine: 'e', authenticate: ['a', 'b'] },
    )
    const tests = await imported(payments(), '--tests')
    assert.ok(parse(tests.stdout).tests.length >= 100)
  })

  const wrong: Readonly<Record<string, readonly [string, RegExp]>> = {
    'Swagger 2.0': ['swagger: "2.0"\npaths: {}\n', /found Swagger 2.0, expected OpenAPI 3/],
    'another version': ['openapi: 4.0.0\npaths: {}\n', /expected OpenAPI 3.0 or 3.1/],
    'no paths': ['openapi: 3.1.0\n', /no paths/],
    'no map': ['[1]\n', /expected an OpenAPI document/],
    'no YAML': ['a: [\n', /neither as JSON nor as YAML/],
    'references in a circle': [
      'openapi: 3.1.0\npaths: { /a: { $ref: "#/paths/~1b" }, /b: { $ref: "#/paths/~1a" } }\n',
      /not in the document/,
    ],
  }
  for (const [what, [text, message]] of Object.entries(wrong)) {
    test(`survives ${what}, and says so`, async () => {
      const { status, stderr } = await imported(text)
      assert.equal(status, what === 'references in a circle' ? 0 : 2)
      assert.match(stderr, message)
    })
  }

  test('writes no line of a document into the map but as one comment or one value', async () => {
    const evil = { get: { operationId: 'a', summary: 'x\nroutes: []', responses: {} } }
    const { stdout } = await imported({
      openapi: '3.1.0',
      info: { title: 'a\nb: c', version: '1' },
      paths: { '/a': evil },
    })
    assert.deepEqual(Object.keys(parse(stdout)), ['defaults', 'routes'])
    assert.equal(parse(stdout).routes.length, 1)
    assert.ok(readFileSync(at('openapi.yaml'), 'utf8').length > 0)
  })
})
