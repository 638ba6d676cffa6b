import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Files, GATEWAY, loadWorld, ROUTES, SOUND } from './world.ts'

const gatewayText = String(SOUND[GATEWAY])
const routesText = String(SOUND[ROUTES])

const replaced = (text: string, from: string, to: string): string => {
  assert.ok(text.includes(from), from)
  return text.replace(from, () => to)
}

const withEntry = (entry: string): Files => ({
  ...SOUND,
  [GATEWAY]: replaced(gatewayText, '  - routes/*.yaml', `  - ${entry}`),
})

describe('a configuration without mistakes', () => {
  test('gives each route what its file has as defaults, unless it says otherwise', async () => {
    const text = `owner: payments
defaults: { host: bank.example.com, upstream: core, engine: bank, authenticate: [staff], grant: { ttl: 5s } }
routes:
  - name: one
    match: GET /one/{id}
    evaluation: { action: read, resource: { type: Account, id: $path.id } }
  - name: two
    match: { path: "/two/{id}", host: other.example.com }
    authenticate: [partners]
    grant: none
    evaluation: { action: read, resource: { type: Account, id: $path.id } }
  - { name: three, match: GET /three, access: public }
`
    const { lines, configuration } = await loadWorld({ ...SOUND, [ROUTES]: text })
    assert.deepEqual(lines, [])
    const seen = configuration?.routes.map(({ route, host, grant, line }) => [
      route.index,
      route.name,
      route.owner,
      route.access,
      route.engine,
      route.upstream,
      route.authenticate,
      host,
      grant?.ttlMs ?? null,
      line,
    ])
    assert.deepEqual(seen, [
      [0, 'one', 'payments', 'protected', 'bank', 'core', ['staff'], 'bank.example.com', 5000, 4],
      [1, 'two', 'payments', 'protected', 'bank', 'core', ['partners'], 'other.example.com', null, 7],
      [2, 'three', 'payments', 'public', '', 'core', [], 'bank.example.com', 5000, 12],
    ])
  })

  test('has durations in milliseconds, and defaults where nothing is said', async () => {
    const files = { ...SOUND, [GATEWAY]: `${gatewayText}limits: { requestTimeout: 5m }\n` }
    const { configuration } = await loadWorld(files)
    assert.equal(configuration?.drainTimeoutMs, 10_000)
    assert.equal(configuration?.limits.requestTimeout, 300_000)
    assert.equal(configuration?.limits.headersTimeout, 10_000)
    assert.equal(configuration?.grants.ttl, 30_000)
    assert.equal(configuration?.admin, null)
  })

  test('may start with a byte order mark, end lines with CR LF, and be JSON', async () => {
    const json = JSON.stringify({
      defaults: { upstream: 'core' },
      routes: [{ name: 'a', match: 'GET /a', access: 'public' }],
    })
    const files = {
      ...SOUND,
      [GATEWAY]: `\ufeff${gatewayText.replaceAll('\n', '\r\n')}`,
      [ROUTES]: `\ufeff${json}`,
    }
    const { lines, configuration } = await loadWorld(files)
    assert.deepEqual(lines, [])
    assert.equal(configuration?.routes.length, 1)
  })

  test('may share settings by anchors', async () => {
    const text = `defaults: { host: bank.example.com, upstream: core, engine: bank, authenticate: [staff] }
routes:
  - { name: a, match: "GET /a/{id}", evaluation: &read { action: read, resource: { type: Account, id: $path.id } } }
  - { name: b, match: "GET /b/{id}", evaluation: *read }
`
    const { lines } = await loadWorld({ ...SOUND, [ROUTES]: text })
    assert.deepEqual(lines, [])
  })
})

describe('the version of a configuration', () => {
  const versionOf = async (files: Files, env?: Readonly<Record<string, string>>): Promise<string> => {
    const { configuration, lines } = await loadWorld(files, env)
    assert.ok(configuration, lines.join('\n'))
    return configuration.version
  }

  test('is the same wherever the files are', async () => {
    assert.match(await versionOf(SOUND), /^sha256:[0-9a-f]{64}$/)
    assert.equal(await versionOf(SOUND), await versionOf(SOUND))
  })

  test('changes with every file that was read', async () => {
    const version = await versionOf(SOUND)
    for (const file of Object.keys(SOUND)) {
      // White space means nothing in any of them.
      assert.notEqual(await versionOf({ ...SOUND, [file]: `${String(SOUND[file])}\n` }), version, file)
    }
  })

  test('changes with the name of a route map', async () => {
    const { [ROUTES]: text = '', ...others } = SOUND
    assert.notEqual(await versionOf({ ...others, 'routes/renamed.yaml': text }), await versionOf(SOUND))
  })

  test('tells nothing of a secret', async () => {
    const fromFile = { ...SOUND, [GATEWAY]: replaced(gatewayText, '{ env: BACKEND }', '{ file: s.txt }') }
    const one = await versionOf({ ...fromFile, 's.txt': 'one-secret' })
    assert.equal(await versionOf({ ...fromFile, 's.txt': 'another-secret' }), one)
    assert.equal(await versionOf(SOUND, { BACKEND: 'x' }), await versionOf(SOUND, { BACKEND: 'y' }))
  })
})

describe('mistakes', () => {
  test('are told all at once, of all files, sorted by place', async () => {
    const { lines, configuration } = await loadWorld({
      ...SOUND,
      [GATEWAY]: replaced(
        replaced(gatewayText, 'version: 1', 'version: 3'),
        'audience: bank',
        'audiense: bank',
      ),
      [ROUTES]: replaced(replaced(routesText, '$path.id', '$path.ident'), 'access: public', 'access: publik'),
      'routes/broken.yaml': 'routes: [\n',
      'policies/more.cedar': 'permit (principal, action, resource) whenever { true };\n',
    })
    assert.equal(configuration, null)
    assert.deepEqual(
      lines.map((line) => line.replace(/: error: .*/, '')),
      [
        'policies/more.cedar:1:38',
        'routes/bank.yaml:7:44',
        'routes/bank.yaml:10:13',
        'routes/broken.yaml:1:9',
        'sallyport.yaml:1:10',
        'sallyport.yaml:4:56',
      ],
    )
  })

  test('in an entry do not make what refers to it wrong', async () => {
    const broken = replaced(gatewayText, 'core: { url: "http://127.0.0.1:9000" }', 'core: { url: 5 }')
    const { lines } = await loadWorld({ ...SOUND, [GATEWAY]: replaced(broken, 'type: cedar', 'type: ceder') })
    assert.equal(lines.length, 2, lines.join('\n'))
  })

  test('in defaults are told once, where the defaults are', async () => {
    const { lines } = await loadWorld({
      ...SOUND,
      [ROUTES]: replaced(routesText, 'upstream: core', 'upstream: cor'),
    })
    assert.deepEqual(lines, [
      'routes/bank.yaml:1:47: error: found the unknown upstream "cor", expected core; did you mean "core"?',
    ])
  })

  test('of a configuration that is not there are told at its start', async () => {
    const { [GATEWAY]: _, ...others } = SOUND
    const { lines } = await loadWorld(others)
    assert.deepEqual(lines, ['sallyport.yaml:1:1: error: the configuration cannot be read: no such file'])
  })

  test('never show what may be secret', async () => {
    const secret = 'hunter2'
    const world = replaced(gatewayText, '{ env: BACKEND }', secret)
    for (const text of [
      world,
      replaced(gatewayText, '{ env: BACKEND }', `{ env: "${secret}!" }`),
      replaced(gatewayText, '{ env: BACKEND }', `[${secret}]`),
      replaced(gatewayText, '{ env: BACKEND }', `{ env: [${secret}] }`),
      replaced(gatewayText, '{ env: BACKEND }', `"${secret}" and more`),
      replaced(gatewayText, '{ env: BACKEND }', `@${secret}`),
      replaced(gatewayText, 'jwksFile: jwks.json', `secret: ${secret}`),
      replaced(gatewayText, '"http://127.0.0.1:9000"', `"http://user:${secret}@host/"`),
      replaced(gatewayText, '"http://127.0.0.1:9000"', `"http://host/?key=${secret}"`),
      `${gatewayText}admin: { bind: "127.0.0.1:1", token: ${secret} }\n`,
      `${gatewayText}admin: { bind: "127.0.0.1:1", token: "${secret} }\n`,
      `${gatewayText}admin: { bind: "127.0.0.1:1", tokens: [${secret}] }\n`,
    ]) {
      const { lines, configuration } = await loadWorld({ ...SOUND, [GATEWAY]: text })
      assert.equal(configuration, null)
      assert.doesNotMatch(lines.join('\n'), /hunter2/)
    }
  })
})

describe('what check lists though it is no mistake', () => {
  test('every opt-in of a route, at its key', async () => {
    const more =
      'allowEncodedSlash: true\n    allowPathParameters: true\n    ignoreCase: true\n    fallThrough: true'
    const text = replaced(routesText, 'access: public', `access: public\n    ${more}\n    `)
    const { findings, configuration } = await loadWorld({ ...SOUND, [ROUTES]: text })
    assert.ok(configuration)
    assert.deepEqual(
      findings.map(({ severity, rule, line, column }) => [severity, rule, line, column]),
      [11, 12, 13, 14].map((line) => ['info', 'opt-in', line, 5]),
    )
  })

  test('that no decision is recorded', async () => {
    const text = gatewayText.replace(/audit:\n.*\n/, '')
    const { findings, configuration } = await loadWorld({ ...SOUND, [GATEWAY]: text })
    assert.ok(configuration)
    assert.deepEqual(
      findings.map(({ severity, rule }) => [severity, rule]),
      [['info', 'no-audit']],
    )
  })

  test("that a file's owner is another one than the gateway's file says", async () => {
    const files = {
      ...withEntry('{ files: routes/*.yaml, owner: payments, public: [/health] }'),
      [ROUTES]: `owner: others\n${routesText}`,
    }
    const { lines, configuration } = await loadWorld(files)
    assert.deepEqual(lines, [
      'routes/bank.yaml:1:8: info: the owner is "payments", as the gateway\'s file says, and not "others"',
    ])
    assert.ok(configuration?.routes.every(({ route }) => route.owner === 'payments'))
  })
})

describe('the confinement of a routes entry', () => {
  const ALL =
    'hosts: [bank.example.com], upstreams: [core], engines: [bank], authenticators: [staff], secrets: [backend]'

  test('allows what it lists', async () => {
    const text = replaced(
      routesText,
      'access: public',
      'access: public\n    headers: { X-Key: $secrets.backend }',
    )
    const files = { ...withEntry(`{ files: routes/bank.yaml, ${ALL}, public: [/health] }`), [ROUTES]: text }
    assert.deepEqual((await loadWorld(files)).lines, [])
  })

  test('does not concern other files', async () => {
    const files = {
      ...withEntry(`{ files: routes/bank.yaml, ${ALL}, public: [/health] }\n  - other/*.yaml`),
      'other/free.yaml':
        'defaults: { upstream: core }\nroutes: [{ name: free, match: GET /x, access: public }]\n',
    }
    assert.deepEqual((await loadWorld(files)).lines, [])
  })

  const HOSTS: readonly (readonly [host: string, allowed: string, isAllowed: boolean])[] = [
    ['bank.example.com', 'bank.example.com', true],
    ['BANK.example.com.', 'bank.example.com', true],
    ['bank.example.com:8443', 'bank.example.com', true],
    ['bank.example.com', 'bank.example.com:8443', false],
    ['a.example.com', '*.example.com', true],
    ['*.a.example.com', '*.example.com', true],
    ['*.example.com', '*.example.com', true],
    ['example.com', '*.example.com', false],
    ['*.example.com', '*.a.example.com', false],
    ['*.example.com', 'a.example.com', false],
    ['evilexample.com', '*.example.com', false],
    ['bank.example.com.evil.org', 'bank.example.com', false],
  ]
  for (const [host, allowed, isAllowed] of HOSTS) {
    test(`${isAllowed ? 'allows' : 'does not allow'} the host ${host} where ${allowed} may be taken`, async () => {
      const entry = `{ files: routes/bank.yaml, hosts: ["${allowed}"], public: [/health] }`
      const text = replaced(routesText, 'host: bank.example.com', `host: "${host}"`)
      const { lines } = await loadWorld({ ...withEntry(entry), [ROUTES]: text })
      if (isAllowed) assert.deepEqual(lines, [])
      else assert.match(lines.join('\n'), /^routes\/bank\.yaml:1:19: error: found the host .* may not take/)
    })
  }

  const PATHS: readonly (readonly [path: string, allowed: string, isAllowed: boolean])[] = [
    ['/health', '/health', true],
    ['/health/', '/health', true],
    ['/he%61lth', '/health', true],
    ['/health', '/status', false],
    ['/health/{x}', '/health', false],
    ['/health', '/health/*', true],
    ['/health', '/health/{*rest}', true],
    ['/health', '/health/{name}', false],
    ['/healthy', '/health/*', false],
    ['/assets/app.js', '/assets/*', true],
    ['/assets/{*rest}', '/assets/*', true],
    ['/assets/{*rest}', '/assets/{*rest}', true],
    ['/assets/a/b', '/assets/{*rest}', true],
    ['/assets/{*rest}', '/assets/{name}', false],
    ['/assets/{name}', '/assets/{any}', true],
    ['/assets/{name}', '/assets/app.js', false],
    ['/assets/{id:[0-9]+}', '/assets/{id:[0-9]+}', true],
    ['/assets/{id:[0-9a-z]+}', '/assets/{id:[0-9]+}', false],
    ['/assets/app.js', '/assets/{id:[0-9]+}', false],
    ['/{*rest}', '/*', true],
    ['/{*rest}', '/assets/*', false],
    ['/{name}/public', '/assets/public', false],
  ]
  for (const [path, allowed, isAllowed] of PATHS) {
    test(`${isAllowed ? 'allows' : 'does not allow'} ${path} to be public where ${allowed} may be`, async () => {
      const entry = `{ files: routes/bank.yaml, public: ["${allowed}"] }`
      const text = replaced(routesText, 'match: GET /health', `match: "GET ${path}"`)
      const { lines } = await loadWorld({ ...withEntry(entry), [ROUTES]: text })
      if (isAllowed) assert.deepEqual(lines, [])
      else assert.match(lines.join('\n'), /^routes\/bank\.yaml:10:13: error: found a public route on /)
    })
  }
})

describe('a file that is named, and that a pattern matches too', () => {
  for (const [order, entries] of [
    ['before', '{ files: routes/bank.yaml, upstreams: [], public: [/health] }\n  - routes/*.yaml'],
    ['after', 'routes/*.yaml\n  - { files: routes/bank.yaml, upstreams: [], public: [/health] }'],
  ] as const) {
    test(`is read once, and confined by the entry that names it ${order} the pattern`, async () => {
      const { lines, configuration } = await loadWorld(withEntry(entries))
      assert.equal(configuration, null)
      assert.ok(lines.length > 0)
      for (const line of lines) assert.match(line, /upstream "core"/)
    })
  }
})
