import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startHttpBackend } from '../support/backend.ts'
import { startTestGateway, type TestGateway } from '../support/gateway.ts'
import { openRaw } from '../support/raw-http.ts'
import {
  edited,
  gatewayFile,
  get,
  KEY,
  policy,
  READ,
  replace,
  routeMap,
  WRITE,
  world,
  write,
} from './live-world.ts'

const EDITS = 200
const CLIENTS = 4
const THINGS = ['one', 'two', 'three'] as const

/** What a configuration says, and when it was the one that decides, at most. */
interface Reign {
  readonly allowed: ReadonlySet<string>
  readonly fromMs: number
  toMs: number
}

interface Seen {
  readonly thing: string
  readonly status: number
  readonly decisionId: string
  readonly sentMs: number
  readonly answeredMs: number
}

/** Policies that differ from all others, so that each edit has a version of its own. */
const policyOf = (edit: number): { readonly text: string; readonly allowed: ReadonlySet<string> } => {
  const allowed = THINGS.filter((_, index) => ((edit * 5 + 3) >> index) % 2 === 1)
  return { text: `${policy(...allowed)}\n// edit ${edit}\n`, allowed: new Set(allowed) }
}

type Break = (gateway: TestGateway, backendUrl: string, edit: number) => () => void

const broken =
  (
    path: string,
    content: (backendUrl: string, edit: number) => string,
    good: (backendUrl: string) => string,
  ): Break =>
  (gateway, backendUrl, edit) => {
    replace(gateway, path, content(backendUrl, edit))
    return () => replace(gateway, path, good(backendUrl))
  }

const GATEWAY = 'config/sallyport.yaml'
const ROUTES = 'config/routes/app.yaml'
const goodRoutes = () => routeMap(READ + WRITE)

const BREAKS: readonly Break[] = [
  broken(GATEWAY, (url, edit) => `${gatewayFile(url)}\nunknown${edit}: 1\n`, gatewayFile),
  broken(GATEWAY, (_url, edit) => `version: [ # ${edit}`, gatewayFile),
  broken(ROUTES, (_url, edit) => routeMap(READ.replace('$path.id', `$path.id${edit}`)), goodRoutes),
  broken(ROUTES, (_url, edit) => `${routeMap(READ)}# ${edit}\n\troutes: 1`, goodRoutes),
  broken(GATEWAY, (url, edit) => gatewayFile(`${url}/path${edit}`), gatewayFile),
  // Only found out by trying: the log is a folder, the address is taken, the address is somebody else's.
  broken(
    GATEWAY,
    (url, edit) => gatewayFile(url, { audit: `[{ type: file, path: ../log, fsync: true }] # ${edit}` }),
    gatewayFile,
  ),
  broken(
    GATEWAY,
    (url, edit) => gatewayFile(url, { listeners: `[{ bind: "${new URL(url).host}" }] # ${edit}` }),
    gatewayFile,
  ),
  (gateway) => {
    const file = join(gateway.directory, 'config/keys.yaml')
    const content = JSON.stringify({
      keys: [{ id: KEY.id, hash: KEY.hash, subject: { type: 'Program', id: KEY.id } }],
    })
    rmSync(file)
    return () => writeFileSync(file, content)
  },
]

const keepAsking = async (
  gateway: TestGateway,
  seen: Seen[],
  first: number,
  stopped: () => boolean,
): Promise<void> => {
  const connection = await openRaw(gateway.port)
  try {
    for (let count = first; !stopped(); count += 1) {
      const thing = THINGS[count % THINGS.length] ?? 'one'
      const body = JSON.stringify({ id: thing })
      const sentMs = performance.now()
      connection.send(
        count % 4 === 0
          ? `POST /things HTTP/1.1\r\nHost: app\r\nX-Api-Key: ${KEY.key}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
          : get(`/things/${thing}`),
      )
      const { status, header } = await connection.response()
      const [decisionId = ''] = header('sallyport-decision-id')
      seen.push({ thing, status, decisionId, sentMs, answeredMs: performance.now() })
      // A whole second of load is more than enough; the other processes of the machine want to live too.
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
  } finally {
    connection.destroy()
  }
}

test(`${EDITS} edits, one in three broken, and no request is answered but by a configuration of its time`, async () => {
  const backend = await startHttpBackend((_request, response) => response.end('ok'))
  const first = policyOf(0)
  const gateway = await startTestGateway(
    { ...world(backend.url), 'policies/main.cedar': first.text },
    { watch: { quietMs: 5, patienceMs: 50 } },
  )
  const reigns = new Map<string, Reign>()
  const seen: Seen[] = []
  let stopped = false
  let running = gateway.gateway.configStatus().version
  reigns.set(running, { allowed: first.allowed, fromMs: performance.now(), toMs: Number.POSITIVE_INFINITY })
  const clients = Array.from({ length: CLIENTS }, (_, index) =>
    keepAsking(gateway, seen, index, () => stopped),
  )
  try {
    for (let edit = 1; edit <= EDITS; edit += 1) {
      if (edit % 3 === 0) {
        let repair = (): void => undefined
        const outcome = await edited(gateway, () => {
          repair = (BREAKS[(edit / 3) % BREAKS.length] as Break)(gateway, backend.url, edit)
        })
        assert.equal(outcome.outcome, 'rejected')
        assert.notDeepEqual(outcome.status.rejected?.findings, [])
        await assertRunning(gateway, running)
        assert.equal((await edited(gateway, repair)).outcome, 'unchanged')
        assert.equal(gateway.gateway.configStatus().rejected, null)
      } else {
        const { text, allowed } = policyOf(edit)
        const fromMs = performance.now()
        const change = edit % 2 === 0 ? write : replace
        const outcome = await edited(gateway, () => change(gateway, 'policies/main.cedar', text))
        assert.equal(outcome.outcome, 'applied')
        const before = reigns.get(running)
        if (before !== undefined) before.toMs = performance.now()
        assert.notEqual(outcome.status.version, running)
        running = outcome.status.version
        reigns.set(running, { allowed, fromMs, toMs: Number.POSITIVE_INFINITY })
        await assertRunning(gateway, running)
      }
    }
    stopped = true
    await Promise.all(clients)
    assertAllAnsweredRightly(gateway, seen, reigns)
  } finally {
    stopped = true
    await gateway.close()
    await backend.close()
  }
})

/** The version that decides is the one that is told. */
const assertRunning = async (gateway: TestGateway, version: string): Promise<void> => {
  assert.equal(gateway.gateway.configStatus().version, version)
  const connection = await openRaw(gateway.port)
  connection.send(get('/nothing'))
  const [id] = (await connection.response()).header('sallyport-decision-id')
  connection.destroy()
  assert.equal(gateway.records().findLast((record) => record.id === id)?.configVersion, version)
}

const assertAllAnsweredRightly = (
  gateway: TestGateway,
  seen: readonly Seen[],
  reigns: ReadonlyMap<string, Reign>,
): void => {
  const records = new Map(gateway.records().map((record) => [record.id, record]))
  const wrong: unknown[] = []
  const versions = new Set<unknown>()
  for (const each of seen) {
    const record = records.get(each.decisionId)
    const version = String(record?.configVersion)
    const reign = reigns.get(version)
    versions.add(version)
    const status = reign?.allowed.has(each.thing) === true ? 200 : 403
    const wasCurrent = reign !== undefined && reign.fromMs <= each.answeredMs && each.sentMs <= reign.toMs
    if (each.status !== status || !wasCurrent) wrong.push({ ...each, expected: status, wasCurrent, record })
  }
  assert.deepEqual(wrong.slice(0, 3), [])
  assert.ok(seen.length > EDITS * 5, `only ${seen.length} requests`)
  // Nearly each of the configurations has decided something.
  assert.ok(versions.size > reigns.size * 0.9, `${versions.size} of ${reigns.size} versions were seen`)
}
