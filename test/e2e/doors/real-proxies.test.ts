import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { repositoryRoot } from '../../house/source-files.ts'
import { OK, type RawBackend, startRawBackend } from '../../support/backend.ts'
import { layOut, startTestGateway, type TestGateway } from '../../support/gateway.ts'
import { type RawResponse, rawRequest } from '../../support/raw-http.ts'
import { freePort, type ServerProcess, startServerProcess } from '../../support/server-process.ts'
import { buildCity, type City, HOST, tokenOf } from '../city.ts'
import { portOf } from './asking.ts'

const MORE_ROUTES = `defaults: { host: ${HOST}, upstream: core, engine: city, authenticate: [staff, browser] }
routes:
  - { name: open, match: "GET /public/{*rest}", access: public }
  - { name: admin, match: "* /admin/{*rest}", evaluation: { action: administer, resource: { type: Panel, id: secret, properties: { name: secret } } } }
`
const LISTENERS =
  '[{ bind: 127.0.0.1:0 }, { bind: 127.0.0.1:0, speaks: forward-auth, trustedProxies: [{ cidrs: [127.0.0.1/32] }] }]'

const has = (command: string): boolean => spawnSync(command, ['-h'], { stdio: 'ignore' }).error === undefined

/** The block of a page of docs/doors, for other ports and the host of the tests. */
const documented = (page: string, language: string, ports: Readonly<Record<string, number>>): string => {
  const text = readFileSync(join(repositoryRoot, 'docs', 'doors', page), 'utf8')
  const [, block] = new RegExp('```' + language + '\n([^]*?)```').exec(text) ?? []
  assert.ok(block !== undefined, `${page} has a block of ${language}`)
  return Object.entries(ports).reduce(
    (changed, [from, to]) => changed.replaceAll(from, String(to)),
    block.replaceAll('bank.example.com', HOST),
  )
}

type Start = (ports: { readonly decide: number; readonly application: number }) => Promise<ServerProcess>

const startNginx: Start = async ({ decide, application }) => {
  const port = await freePort()
  const server = documented('nginx.md', 'nginx', {
    'listen 8000': 0,
    8080: decide,
    9000: application,
  }).replace('0;', `listen 127.0.0.1:${port}; location = /up { return 200; }`)
  const directory = layOut({
    'nginx.conf': `daemon off; master_process off; pid nginx.pid; error_log stderr; events {}
http { access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
${server} }`,
  })
  return startServerProcess({
    command: 'nginx',
    args: () => ['-p', directory, '-c', join(directory, 'nginx.conf')],
    healthPath: '/up',
    port,
    directory,
  })
}

const startCaddy: Start = async ({ decide, application }) => {
  const port = await freePort()
  const health = await freePort()
  const site = documented('caddy.md', 'caddyfile', { 8000: port, 8080: decide, 9000: application })
  const directory = layOut({
    Caddyfile: `{\n\tadmin off\n\tauto_https off\n}\nhttp://127.0.0.1:${health} {\n\trespond 200\n}\n${site}`,
  })
  const server = await startServerProcess({
    command: 'caddy',
    args: () => ['run', '--adapter', 'caddyfile', '--config', join(directory, 'Caddyfile')],
    healthPath: '/',
    port: health,
    directory,
  })
  return { ...server, port }
}

const PROXIES: readonly { readonly name: string; readonly start: Start; readonly outage: number }[] = [
  { name: 'nginx', start: startNginx, outage: 500 },
  { name: 'caddy', start: startCaddy, outage: 502 },
]

for (const { name, start, outage } of PROXIES) {
  describe(`${name} as documented`, { skip: has(name) ? false : `${name} is not installed` }, () => {
    let backend: RawBackend
    let city: City
    let gateway: TestGateway
    let proxy: ServerProcess

    before(async () => {
      backend = await startRawBackend(OK)
      city = await buildCity({ upstream: backend.url, settings: { listeners: LISTENERS } })
      gateway = await startTestGateway(
        { ...city.world, 'config/routes/more.yaml': MORE_ROUTES },
        { env: city.env },
      )
      proxy = await start({ decide: portOf(gateway, 1), application: backend.port })
    })
    after(async () => {
      await proxy.kill()
      await gateway.close()
      await backend.close()
    })

    interface Asked {
      readonly method?: string
      readonly as?: string | null
      readonly headers?: readonly string[]
      readonly body?: string
    }

    const ask = async (target: string, { method = 'GET', as = 'alice', headers = [], body }: Asked = {}) => {
      const seen = backend.requests.length
      const lines = [
        `${method} ${target} HTTP/1.1`,
        `Host: ${HOST}`,
        ...(as === null ? [] : [`Authorization: Bearer ${tokenOf(city, as)}`]),
        ...(body === undefined ? [] : [`Content-Length: ${body.length}`]),
        ...headers,
      ]
      const response: RawResponse = await rawRequest(
        proxy.port,
        `${lines.join('\r\n')}\r\n\r\n${body ?? ''}`,
        {
          deadlineMs: 10_000,
        },
      )
      return { response, status: response.status, arrived: backend.requests.slice(seen) }
    }

    const assertStopped = async (
      target: string,
      asked: Asked,
      statuses: readonly number[],
    ): Promise<void> => {
      const { status, arrived } = await ask(target, asked)
      assert.ok(statuses.includes(status), `${target} ${JSON.stringify(asked)}: ${status}`)
      assert.deepEqual(
        arrived.map(({ requestLine }) => requestLine),
        [],
      )
    }

    test('forwards what is allowed, byte for byte, with what Sallyport says and without the credential', async () => {
      const { status, arrived, response } = await ask('/accounts/p%20x?a=%2f&b', {
        headers: ['X-Remote-User: carol', 'Sallyport-Assertion: forged'],
      })
      assert.equal(status, 200)
      const [request] = arrived
      assert.equal(request?.requestLine.split(' ')[1], '/accounts/p%20x?a=%2f&b')
      assert.deepEqual(request?.header('x-remote-user'), ['alice'])
      assert.deepEqual(request?.header('authorization'), [])
      assert.equal(request?.header('sallyport-assertion').length, 1)
      assert.notDeepEqual(request?.header('sallyport-assertion'), ['forged'])
      const [id = ''] = request?.header('sallyport-decision-id') ?? []
      const record = gateway.records().find((each) => each.id === id)
      assert.deepEqual([record?.decision, Object(record?.request).path], ['allow', '/accounts/p%20x'])
      if (name === 'nginx') assert.deepEqual(response.header('sallyport-decision-id'), [id])
    })

    test('passes on bodies that no mapping reads, with the method that was decided about', async () => {
      const { status, arrived } = await ask('/files/a', { method: 'PUT', body: 'content' })
      assert.equal(status, 200)
      assert.deepEqual(
        [arrived[0]?.requestLine.split(' ')[0], arrived[0]?.body.toString()],
        ['PUT', 'content'],
      )
    })

    test('stops what is refused', async () => {
      await assertStopped('/accounts/7', { as: null }, [401])
      await assertStopped('/accounts/7', { as: 'bob' }, [403])
      await assertStopped('/admin/x', {}, [403])
      await assertStopped('/nowhere', {}, [403])
      await assertStopped('/accounts/7', { method: 'DELETE' }, [403])
      await assertStopped(
        '/accounts/7/transfers',
        { method: 'POST', body: '{"to":"8"}', headers: ['Content-Type: application/json'] },
        [403],
      )
    })

    const SPOOFED = [
      'X-Forwarded-Uri: /public/x',
      'X-Forwarded-Method: GET',
      'X-Forwarded-Host: other.test',
      'X-Forwarded-Proto: https',
      'X-Forwarded-For: 10.0.0.1',
      'X-Forwarded-Prefix: /public',
      'X_Forwarded_Uri: /public/x',
      'X.Forwarded.Uri: /public/x',
      'Forwarded: for=10.0.0.1;host=other.test',
      'X-Original-URI: /public/x',
      'X-Original-URL: /public/x',
      'X-Rewrite-URL: /public/x',
      'X-HTTP-Method-Override: GET',
      'Connection: X-Forwarded-Uri, X-Forwarded-Host, X-Remote-User',
      'Connection: Authorization',
      'Upgrade: websocket',
    ]

    for (const header of SPOOFED) {
      test(`${header} of a caller makes /admin/x neither public nor for alice`, async () => {
        await assertStopped('/admin/x', { headers: [header] }, [400, 401, 403])
        await assertStopped('/admin/x', { headers: [header], as: null }, [400, 401, 403])
      })
    }

    for (const target of [
      '/public/../admin/x',
      '/public/%2e%2e/admin/x',
      '/public/..%2fadmin/x',
      '/public/x/..;/admin',
      '//admin/x',
      '/public//x',
      '/public/%00',
      '/public/%5c..%5cadmin',
      '/admin/x?/public/x',
      '/admin/x%3F/public/x',
      '/admin/x#/public/x',
    ]) {
      test(`${target} reaches nobody`, () => assertStopped(target, {}, [400, 403, 404]))
    }

    test('a header that only routes may set never arrives from a caller, also where it is not set', async () => {
      const { arrived } = await ask('/public/x', { as: null, headers: ['X-Remote-User: carol'] })
      for (const request of arrived) assert.deepEqual(request.header('x-remote-user'), [])
      const plain = await ask('/public/x', { as: null })
      assert.deepEqual([plain.status, plain.arrived.length], [200, 1])
      for (const header of ['x-remote-user', 'sallyport-assertion'])
        assert.deepEqual(plain.arrived[0]?.header(header), [], header)
    })

    test('of a repeated header that is decided about nothing arrives', async () => {
      await assertStopped('/tenant', { headers: ['X-Tenant: a', 'X-Tenant: secret'] }, [400, 403])
    })

    test('nothing passes while Sallyport is away', async () => {
      const port = await freePort()
      const alone = await start({ decide: port, application: backend.port })
      const seen = backend.requests.length
      const response = await rawRequest(alone.port, `GET /public/x HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`, {
        deadlineMs: 10_000,
      })
      assert.equal(response.status, outage)
      assert.equal(backend.requests.length, seen)
      await alone.kill()
    })
  })
}
