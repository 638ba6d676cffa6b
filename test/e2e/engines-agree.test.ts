import assert from 'node:assert/strict'
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { repositoryRoot } from '../house/source-files.ts'
import { startHttpBackend } from '../support/backend.ts'
import { startCerbos, withoutCerbos } from '../support/cerbos.ts'
import { layOut, startInDirectory } from '../support/gateway.ts'
import { runOpa, startOpa, withoutOpa } from '../support/opa.ts'
import { jwksOf, makeKey } from '../support/tokens.ts'

const read = (path: string): string => readFileSync(join(repositoryRoot, path), 'utf8')

const REGO = {
  'bank/bank.rego': read('policies/bank-rego/bank.rego'),
  'bank/data.json': read('policies/bank-rego/data.json'),
}
const ENTRYPOINT = 'bank/authz/decision'
const ROUTES = read('config/routes/bank.yaml')

/** Cerbos does not look at the context, so the properties have what is in it. */
const forCerbos = (routes: string): string =>
  routes.replace(
    /properties: \{ side: (\w+) \}/g,
    (_all, side) =>
      `properties: { side: ${side}, amountCents: $body.amountCents, mfa: "$'mfa' in claims.?amr.orValue([])" }`,
  )

/** The demo's own routes, on a host and by an engine of this name. */
const routesOf = (engine: string): string =>
  (engine === 'cerbos' ? forCerbos(ROUTES) : ROUTES)
    .replace(
      'host: localhost, upstream: bank, engine: bank',
      `host: ${engine}.test, upstream: bank, engine: ${engine}`,
    )
    .replaceAll('[staff, partners]', '[staff]')
    .replace(/- name: /g, `- name: ${engine}-`)

/** The same numbers every time. */
const createDice = (seed: number) => {
  let state = seed
  return <T>(choices: readonly T[]): T => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    const choice = choices[Math.floor((state / 2 ** 32) * choices.length)]
    if (choice === undefined) throw new Error('nothing to choose from')
    return choice
  }
}

interface BankRequest {
  readonly claims: Readonly<Record<string, unknown>>
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly body: string | null
}

const ACCOUNTS = ['1001', '1002', '2001', '2002', '9999', 'größe'].map(encodeURIComponent)
const AMOUNTS = [-5, 0, 1, 99_999, 100_000, 100_001, 2_500_000]

const bankRequests = (count: number): readonly BankRequest[] => {
  const roll = createDice(7)
  return Array.from({ length: count }, () => {
    const claims = {
      sub: roll(['alice', 'alice', 'bob', 'carol', 'dave']),
      ...(roll([true, false]) ? { groups: roll([[], ['auditors'], ['staff', 'auditors'], ['x']]) } : {}),
      ...(roll([true, false]) ? { amr: roll([['mfa'], ['pwd']]) } : {}),
    }
    const account = roll(ACCOUNTS)
    const get = (path: string): BankRequest => ({ claims, method: 'GET', path, body: null })
    const transfer = (): BankRequest => ({
      claims,
      method: 'POST',
      path: `/accounts/${account}/transfers`,
      body: JSON.stringify({ to: decodeURIComponent(roll(ACCOUNTS)), amountCents: roll(AMOUNTS) }),
    })
    return roll([
      () => get(`/accounts/${account}`),
      () => get(`/accounts/${account}/statements/2026-10`),
      transfer,
      transfer,
      transfer,
      () => get(roll(['/whoami', '/ticker'])),
    ])()
  })
}

test('the bank in Cedar, Rego, compiled Rego and Cerbos answers 200 requests alike', {
  skip: withoutOpa || withoutCerbos,
}, async (t) => {
  const opa = await startOpa({ files: REGO })
  t.after(opa.kill)
  const cerbos = await startCerbos({
    'account.yaml': read('policies/bank-cerbos/account.yaml'),
    'application.yaml': read('policies/bank-cerbos/application.yaml'),
  })
  t.after(cerbos.kill)
  const bundle = runOpa(REGO, ['build', '-t', 'wasm', '-e', ENTRYPOINT, 'bank'])
  const backend = await startHttpBackend((request, response) => {
    request.resume().on('end', () => response.end('from the application'))
  })
  t.after(backend.close)
  const key = await makeKey('one')
  const engines = ['cedar', 'opa', 'wasm', 'cerbos']
  const directory = layOut({
    'config/sallyport.yaml': `version: 1
listeners: [{ bind: "127.0.0.1:0", trustedProxies: [{ cidrs: [127.0.0.1/32], headers: [x-forwarded-host] }] }]
authenticators:
  staff:
    type: jwt
    issuer: https://idp.test
    jwksFile: jwks.json
    subject: { type: User, id: $claims.sub, properties: { groups: $claims.?groups } }
engines:
  cedar: { type: cedar, policies: [../policies/bank/*.cedar], schema: ../policies/bank/bank.cedarschema, entities: ../policies/bank/entities.json }
  opa: { type: opa, url: "${opa.url}", path: ${ENTRYPOINT}, timeout: 20s }
  wasm: { type: opa-wasm, bundle: "${join(bundle, 'bundle.tar.gz')}", entrypoint: ${ENTRYPOINT} }
  cerbos: { type: authzen, url: "${cerbos.url}", timeout: 20s }
audit: [{ type: file, path: ../log/decisions.ndjson }]
upstreams: { bank: { url: "${backend.url}" } }
routes: [routes/*.yaml]
`,
    'config/jwks.json': JSON.stringify(jwksOf(key)),
    ...Object.fromEntries(engines.map((engine) => [`config/routes/${engine}.yaml`, routesOf(engine)])),
  })
  cpSync(join(repositoryRoot, 'policies', 'bank'), join(directory, 'policies', 'bank'), { recursive: true })
  const gateway = await startInDirectory(directory)
  t.after(gateway.close)

  const exp = Math.floor(Date.now() / 1000) + 3600
  const statusOf = async (engine: string, { claims, method, path, body }: BankRequest): Promise<number> => {
    const token = await key.sign({ iss: 'https://idp.test', exp, ...claims })
    const answer = await fetch(`http://127.0.0.1:${gateway.port}${path}`, {
      method,
      body,
      headers: {
        authorization: `Bearer ${token}`,
        'x-forwarded-host': `${engine}.test`,
        ...(body === null ? {} : { 'content-type': 'application/json' }),
      },
    })
    await answer.arrayBuffer()
    return answer.status
  }

  const counts = new Map<number, number>()
  for (const request of bankRequests(200)) {
    const statuses = await Promise.all(engines.map((engine) => statusOf(engine, request)))
    const [status = 0] = statuses
    assert.deepEqual(
      statuses,
      engines.map(() => status),
      JSON.stringify(request),
    )
    counts.set(status, (counts.get(status) ?? 0) + 1)
  }
  assert.deepEqual([...counts.keys()].sort(), [200, 403])
  assert.ok(
    [...counts.values()].every((count) => count > 40),
    JSON.stringify([...counts]),
  )
  const reasons = (engine: string) =>
    gateway.records().flatMap((record) => {
      const [, name] = /^(\w+)-/.exec(String(record.route)) ?? []
      return name === engine ? [`${record.decision} ${JSON.stringify(record.reasons)}`] : []
    })
  assert.deepEqual(reasons('opa').sort(), reasons('cedar').sort())
  assert.deepEqual(reasons('wasm').sort(), reasons('cedar').sort())
})
