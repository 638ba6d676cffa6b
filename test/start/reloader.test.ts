import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Configuration, LoadResult } from '../../src/config/configuration.ts'
import type { Sources } from '../../src/config/sources.ts'
import { systemClock } from '../../src/core/clock.ts'
import { createReloader } from '../../src/start/reloader.ts'
import { collectingLog } from '../support/gateway.ts'

const sourcesOf = (digest: string, areCurrent: () => boolean): Sources => ({
  files: [],
  directories: [],
  digest,
  areCurrent,
})

test('what takes long to load is given up for a newer edit, and for no other reason', async () => {
  let onDisk = 'first'
  const loads: string[] = []
  const began = new Map<string, () => void>()
  const signals = new Map<string, AbortSignal>()
  const applied: string[] = []
  const configurationOf = (version: string) => ({ version }) as unknown as Configuration
  const reloader = createReloader(
    { configuration: configurationOf('none'), sources: sourcesOf('none', () => onDisk === 'none') },
    {
      load: (whileWanted) =>
        new Promise<LoadResult>((resolve) => {
          const read = onDisk
          loads.push(read)
          const sources = sourcesOf(read, () => onDisk === read)
          const signal = whileWanted?.(sources)
          if (signal !== undefined) signals.set(read, signal)
          signal?.addEventListener('abort', () => {
            resolve({ configuration: null, findings: [], sources, unfinished: true })
          })
          began.set(read, () => resolve({ configuration: configurationOf(read), findings: [], sources }))
        }),
      watch: () => undefined,
      apply: async ({ version }) => {
        applied.push(version)
        return null
      },
      file: 'sallyport.yaml',
      clock: systemClock,
      log: collectingLog([]),
      onOutcome: () => undefined,
    },
  )
  const outcome = reloader.reloadIfChanged()
  await Promise.resolve()
  const second = reloader.reloadIfChanged()
  assert.equal(signals.get('first')?.aborted, false)
  onDisk = 'second'
  const third = reloader.reloadIfChanged()
  assert.equal(signals.get('first')?.aborted, true)
  while (!began.has('second')) await new Promise((resolve) => setImmediate(resolve))
  began.get('second')?.()
  assert.equal((await outcome).outcome, 'applied')
  assert.deepEqual([(await second).outcome, (await third).outcome], ['unchanged', 'unchanged'])
  assert.deepEqual([loads, applied], [['first', 'second'], ['second']])
})
