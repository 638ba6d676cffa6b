import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { startBundleServer } from '../support/bundle-server.ts'
import { runOpa, startOpa, withoutOpa } from '../support/opa.ts'
import { eventually } from '../support/server-process.ts'
import { lastRecord, startAskedGateway } from './engines-world.ts'

const bundle = (revision: string, allow: boolean): Buffer =>
  readFileSync(
    join(
      runOpa({ 'src/policy.rego': `package gateway.authz\n\nallow := ${allow}\n` }, [
        'build',
        ...['-r', revision, '-o', 'bundle.tar.gz', '-b', 'src'],
      ]),
      'bundle.tar.gz',
    ),
  )

const ROUTE = `  - name: read-account
    match: GET /accounts/{id}
    evaluation: { action: read, resource: { type: Account, id: $path.id } }
    grant: { ttl: 1h }
`

test('another revision of the bundle voids the grants of the one before', { skip: withoutOpa }, async (t) => {
  const server = await startBundleServer(bundle('r1', true))
  t.after(server.close)
  const opa = await startOpa({
    files: {},
    args: [
      `--set=services.bundles.url=${server.url}`,
      '--set=bundles.bank.service=bundles',
      '--set=bundles.bank.resource=bundle.tar.gz',
      '--set=bundles.bank.polling.min_delay_seconds=1',
      '--set=bundles.bank.polling.max_delay_seconds=1',
    ],
  })
  t.after(opa.kill)
  const gateway = await startAskedGateway({
    engines: `{ main: { type: opa, url: "${opa.url}", path: gateway/authz/allow, timeout: 10s, poll: 100ms } }`,
    routes: ROUTE,
  })
  t.after(gateway.close)
  const source = async (): Promise<unknown> => {
    await gateway.get('alice', '/accounts/1')
    return lastRecord(gateway).source
  }
  await eventually('the revision is known', async () => {
    return (await gateway.engineState('main')).policyVersion === 'r1'
  })
  await eventually('there is a grant', async () => (await source()) === 'grant')
  assert.equal(lastRecord(gateway).policyVersion, 'r1')

  server.publish(bundle('r2', false))
  await eventually('the new policy decides', async () => {
    return (await gateway.get('alice', '/accounts/1')).status === 403
  })
  const { source: from, policyVersion } = lastRecord(gateway)
  assert.deepEqual([from, policyVersion], ['engine', 'r2'])
})
