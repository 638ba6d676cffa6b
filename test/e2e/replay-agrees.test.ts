import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { systemClock } from '../../src/core/clock.ts'
import { replay } from '../../src/start/replay/replay.ts'
import { OUTCOMES, type Outcome } from '../../src/start/replay/verdict.ts'
import { silentLog } from '../config/world.ts'
import { type RawBackend, startRawBackend } from '../support/backend.ts'
import { type LoggedRecord, startTestGateway, type TestGateway } from '../support/gateway.ts'
import { rawRequest } from '../support/raw-http.ts'
import { jwksOf, makeKey } from '../support/tokens.ts'
import { KEY, keysFile } from './live-world.ts'

type Json = Readonly<Record<string, unknown>>
type Routes = Readonly<Record<string, Json>>

/** By name, so that an edit can replace one. */
const ROUTES: Routes = {
  account: {
    match: 'GET /accounts/{id}',
    evaluation: {
      action: 'read',
      resource: { type: 'Account', id: '$path.id' },
      context: { mfa: "$'mfa' in claims.?amr.orValue([])", city: '$claims.address.?city' },
    },
    headers: { 'X-User': '$subject.id' },
  },
  transfer: {
    match: 'POST /accounts/{from}/transfers',
    evaluations: {
      action: 'pay',
      context: { amount: '$body.amount' },
      evaluations: [
        { resource: { type: 'Account', id: '$path.from' } },
        { resource: { type: 'Account', id: '$body.to' } },
      ],
    },
  },
  page: {
    match: 'GET /pages/{*rest}',
    evaluation: {
      subject: { properties: { tenant: '$request.headers["x-tenant"]' } },
      action: 'read',
      resource: { type: 'Page', id: '$path.rest', properties: { lang: '$request.query.?lang' } },
    },
  },
  health: { match: 'GET /health', access: 'public' },
}

const POLICIES: Readonly<Record<string, string>> = {
  'read-own': 'permit (principal, action == Action::"read", resource is Account) when { context.mfa };',
  'read-pages':
    'permit (principal, action == Action::"read", resource is Page) when { principal.tenant == "a" };',
  'pay-small':
    'permit (principal, action == Action::"pay", resource is Account) when { context.amount < 100 };',
  'no-bob': 'forbid (principal == User::"bob", action, resource == Account::"2");',
}

interface Setting {
  readonly routes: Routes
  readonly policies: Readonly<Record<string, string>>
}

const mapsOf = (routes: Routes): string =>
  JSON.stringify({
    defaults: { host: 'app', upstream: 'app', engine: 'main', authenticate: ['staff'] },
    routes: Object.entries(routes).map(([name, route]) => ({ name, ...route })),
  })

const policiesOf = (policies: Setting['policies']): string =>
  Object.entries(policies)
    .map(([id, text]) => `@id("${id}") ${text}\n`)
    .join('')

const withRoute =
  (name: string, change: (route: Json) => Json) =>
  (setting: Setting): Setting => {
    const route = setting.routes[name]
    return route === undefined
      ? setting
      : { ...setting, routes: { ...setting.routes, [name]: change(route) } }
  }

const without = <T>(map: Readonly<Record<string, T>>, name: string): Readonly<Record<string, T>> =>
  Object.fromEntries(Object.entries(map).filter(([key]) => key !== name))

const withPolicy =
  (id: string, text: string | null) =>
  (setting: Setting): Setting => ({
    ...setting,
    policies: text === null ? without(setting.policies, id) : { ...setting.policies, [id]: text },
  })

const evaluation = (name: string, change: Json) =>
  withRoute(name, (route) => {
    const key = 'evaluations' in route ? 'evaluations' : 'evaluation'
    return { ...route, [key]: { ...Object(route[key]), ...change } }
  })

const EDITS: readonly ((setting: Setting) => Setting)[] = [
  evaluation('account', { action: 'list' }),
  evaluation('account', { resource: { type: 'Page', id: '$path.id' } }),
  evaluation('account', { context: { mfa: true } }),
  evaluation('account', { context: { mfa: false, city: '$claims.address.?city' } }),
  evaluation('account', { context: { mfa: "$'mfa' in claims.?amr.orValue([])", who: '$subject.id' } }),
  evaluation('account', { context: { mfa: true, host: '$request.host', at: '$request.path' } }),
  evaluation('transfer', { context: { amount: '$body.amount + 50' } }),
  evaluation('transfer', { action: 'read' }),
  evaluation('page', { subject: { properties: { tenant: 'a' } } }),
  evaluation('page', { subject: { properties: { tenant: 'b', more: '$request.headers["x-tenant"]' } } }),
  evaluation('page', { resource: { type: 'Page', id: '$path.rest' } }),
  withRoute('account', () => ({ match: 'GET /accounts/{id}', access: 'public' })),
  withRoute('account', (route) => ({ ...route, match: 'GET /accounts/{id:[12]}' })),
  withRoute('account', (route) => ({ ...route, match: 'HEAD /accounts/{id}' })),
  withRoute('account', (route) => ({ ...route, authenticate: ['partners'] })),
  withRoute('account', (route) => ({ ...route, authenticate: ['staff', 'partners'] })),
  withRoute('account', (route) => ({ ...route, headers: { 'X-Mfa': '$claims.amr[0]' } })),
  withRoute('page', (route) => ({ ...route, host: 'other' })),
  withRoute('page', (route) => ({ ...route, rewrite: "$'/v2/' + path.rest" })),
  (setting) => ({ ...setting, routes: without(setting.routes, 'page') }),
  (setting) => ({ ...setting, routes: without(setting.routes, 'health') }),
  (setting) => ({
    ...setting,
    routes: { ...setting.routes, nowhere: { match: 'GET /nowhere', access: 'public' } },
  }),
  withPolicy('no-bob', null),
  withPolicy('read-own', null),
  withPolicy('read-own', 'permit (principal, action == Action::"read", resource is Account);'),
  withPolicy('read-pages', 'permit (principal, action, resource) when { principal has tenant };'),
  withPolicy(
    'pay-small',
    'permit (principal, action == Action::"pay", resource) when { context.amount < 1000 };',
  ),
  withPolicy('all', 'permit (principal == User::"alice", action, resource);'),
  withPolicy(
    'none',
    'forbid (principal, action, resource) when { context has city && context.city == "Ulm" };',
  ),
]

/** The same numbers each time, so that a failure can be looked at. */
const numbers = (seed: number): (() => number) => {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state
  }
}

const pick = <T>(from: readonly T[], next: () => number): T => {
  const chosen = from[(next() >>> 8) % from.length]
  if (chosen === undefined) throw new Error('nothing to choose from')
  return chosen
}

const questionOf = (record: LoggedRecord): unknown => [
  record.code,
  record.route,
  record.subject,
  record.action,
  record.resource,
  record.context,
  (Array.isArray(record.evaluations) ? record.evaluations : []).map(
    ({ decision, reasons, ...asked }) => asked,
  ),
]

const expected = (before: LoggedRecord, after: LoggedRecord): Outcome => {
  if (after.code === 'no_route') return 'unmapped'
  if (before.decision !== after.decision) return after.decision === 'allow' ? 'newlyAllowed' : 'newlyDenied'
  try {
    assert.deepEqual(questionOf(before), questionOf(after))
    return 'unchanged'
  } catch {
    return 'changed'
  }
}

describe('a replay of what one gateway recorded', () => {
  let backend: RawBackend
  let recorded: TestGateway
  let draft: TestGateway
  let requests: readonly string[]
  const SETTING: Setting = { routes: ROUTES, policies: POLICIES }

  before(async () => {
    backend = await startRawBackend()
    const key = await makeKey('one')
    const jwks = JSON.stringify(jwksOf(key))
    const gateway = `version: 1
listeners: [{ bind: "127.0.0.1:0" }]
authenticators:
  staff: { type: jwt, issuer: https://idp.test, audience: app, jwksFile: jwks.json }
  partners: { type: api-key, keysFile: keys.yaml }
engines: { main: { type: cedar, policies: [../policies/*.cedar] } }
audit: [{ type: file, path: ../log/decisions.ndjson }]
limits: { refusalRecords: { perAddress: 1000000 } }
upstreams: { app: { url: "${backend.url}" } }
routes: [routes/*.yaml]
`
    const files = {
      'config/sallyport.yaml': gateway,
      'config/jwks.json': jwks,
      'config/keys.yaml': keysFile(KEY),
      'config/routes/app.yaml': mapsOf(ROUTES),
      'policies/main.cedar': policiesOf(POLICIES),
    }
    recorded = await startTestGateway(files, { watch: null })
    draft = await startTestGateway(files, { watch: null })
    const claims = { iss: 'https://idp.test', aud: 'app', exp: Math.floor(Date.now() / 1000) + 3600 }
    const tokens = await Promise.all(
      [
        { sub: 'alice', amr: ['mfa'], address: { city: 'Ulm' } },
        { sub: 'bob', address: {} },
        { sub: 'carol' },
      ].map((own) => key.sign({ ...claims, ...own })),
    )
    const who = [
      ...tokens.map((token) => `Authorization: Bearer ${token}\r\n`),
      `X-Api-Key: ${KEY.key}\r\n`,
      '',
    ]
    const post = (path: string, auth: string, body: string): string =>
      `POST ${path} HTTP/1.1\r\nHost: app\r\n${auth}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
    const get = (path: string, headers: string): string =>
      `GET ${path} HTTP/1.1\r\nHost: app\r\n${headers}\r\n`
    requests = who.flatMap((auth, index) => [
      get('/accounts/1', auth),
      get('/accounts/33', auth),
      post('/accounts/1/transfers', auth, '{"to":"2","amount":60}'),
      post('/accounts/1/transfers', auth, '{"amount":60}'),
      get('/pages/a/b?lang=de', `${auth}X-Tenant: a\r\n`),
      get('/pages/a', auth),
      ...(index < 1 || index > 3 ? [get('/nowhere', auth), get('/health', auth)] : []),
    ])
    await send(recorded)
  })
  after(async () => {
    await recorded.close()
    await draft.close()
    await backend.close()
  })

  /** The records of all requests, in their order; how an answer that an edit overtook has ended is another matter. */
  const send = async (gateway: TestGateway): Promise<readonly LoggedRecord[]> => {
    const known = gateway.records().length
    for (const request of requests) await rawRequest(gateway.port, request)
    return gateway
      .records()
      .slice(known)
      .filter(({ follows }) => follows === undefined)
  }

  const replayed = async (): Promise<ReadonlyMap<string, Outcome>> => {
    const result = await replay({
      file: join(draft.directory, 'config/sallyport.yaml'),
      env: {},
      clock: systemClock,
      log: silentLog,
      logs: [join(recorded.directory, 'log/decisions.ndjson')],
      wantsIds: true,
    })
    assert.ok('ids' in result && result.ids !== null)
    const { ids } = result
    return new Map(
      OUTCOMES.flatMap((outcome) =>
        ids[outcome].flatMap((piece) =>
          piece
            .split(',')
            .filter(Boolean)
            .map((id) => [id, outcome] as const),
        ),
      ),
    )
  }

  test('names exactly the decisions that another one decides otherwise, for 50 edits', async () => {
    const before = recorded.records().filter(({ follows }) => follows === undefined)
    const next = numbers(7)
    const undecidable: number[] = []
    for (let round = 0; round < 50; round += 1) {
      const edits =
        round < EDITS.length ? EDITS.slice(round, round + 1) : [pick(EDITS, next), pick(EDITS, next)]
      const setting = edits.reduce((edited, edit) => edit(edited), SETTING)
      writeFileSync(join(draft.directory, 'config/routes/app.yaml'), mapsOf(setting.routes))
      writeFileSync(join(draft.directory, 'policies/main.cedar'), policiesOf(setting.policies))
      const { outcome, findings } = await draft.gateway.reload()
      assert.notEqual(outcome, 'rejected', JSON.stringify(findings))
      const live = await send(draft)
      const verdicts = await replayed()
      let untold = 0
      for (const [index, record] of before.entries()) {
        const verdict = verdicts.get(record.id)
        const again = live[index]
        assert.ok(again !== undefined && verdict !== undefined)
        if (verdict === 'undecidable') untold += 1
        else {
          const said = `edit ${round}, request ${index}: ${JSON.stringify(record)} -> ${JSON.stringify(again)}`
          assert.equal(verdict, expected(record, again), said)
        }
      }
      undecidable.push(untold)
    }
    // Only a draft that looks at what nobody recorded leaves something open, and then of the requests that it is about.
    const all = before.length * undecidable.length
    const open = undecidable.reduce((sum, count) => sum + count, 0)
    assert.ok(open < all * 0.05, `${open} of ${all}: ${undecidable.join(' ')}`)
  })
})
