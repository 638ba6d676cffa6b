import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { createLog } from '../../src/cli/log.ts'
import { systemClock } from '../../src/core/clock.ts'
import { createRevocations } from '../../src/start/revocations.ts'

/** A port of 127.0.0.1 at which nobody answers. */
const deadPort = (): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() =>
        typeof address === 'object' && address !== null
          ? resolve(address.port)
          : reject(new Error('no port')),
      )
    })
  })

test('a Redis that is out of reach is gone on without, without a warning of Node', async () => {
  const warnings: string[] = []
  const onWarning = ({ name }: Error): void => {
    warnings.push(name)
  }
  process.on('warning', onWarning)
  const revocations = createRevocations({ clock: systemClock, log: createLog('silent') })
  try {
    const prepared = await revocations.prepare({
      revocation: {
        maxStale: 2_000,
        failClosedAfter: 300_000,
        markLife: 604_800_000,
        maxMarks: 1_000,
        file: undefined,
      },
      redis: {
        place: { kind: 'single', host: '127.0.0.1', port: await deadPort(), db: 0 },
        tls: null,
        keyPrefix: 'sallyport:1:',
        commandTimeoutMs: 50,
        minReplicas: 0,
        macKey: Buffer.alloc(32, 1),
        fingerprint: 'any',
      },
    })
    assert.ok('commit' in prepared)
    prepared.commit()
    assert.notEqual(revocations.feed.status().unready, null)
    assert.deepEqual(warnings, [])
  } finally {
    process.off('warning', onWarning)
    revocations.close()
  }
})
