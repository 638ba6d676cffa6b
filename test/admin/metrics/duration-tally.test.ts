import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Histogram, Registry } from 'prom-client'
import { createDurationTally } from '../../../src/admin/metrics/duration-tally.ts'

test('durations are counted as a Prometheus histogram counts them', async () => {
  const bounds = createDurationTally()
    .read()
    .buckets.map(([bound]) => bound)
  const duration = fc.oneof(
    fc.integer({ min: 0, max: 20_000_000 }),
    fc.constantFrom(...bounds.map((bound) => bound * 1e6)),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(duration, { maxLength: 50 }), async (durationsUs) => {
      const tally = createDurationTally()
      const histogram = new Histogram({ name: 'h', help: 'h', buckets: bounds, registers: [new Registry()] })
      for (const durationUs of durationsUs) {
        tally.observe(durationUs)
        histogram.observe(durationUs / 1e6)
      }
      const { values } = await histogram.get()
      const bucketOf = (le: number | string): number | undefined =>
        values.find(({ metricName, labels }) => metricName === 'h_bucket' && labels.le === le)?.value
      const { buckets, count, sumSeconds } = tally.read()
      for (const [bound, counted] of buckets) assert.equal(counted, bucketOf(bound) ?? 0, `le ${bound}`)
      assert.equal(count, durationsUs.length)
      assert.ok(Math.abs(sumSeconds - durationsUs.reduce((sum, each) => sum + each, 0) / 1e6) < 1e-6)
    }),
    { numRuns: 100 },
  )
})
