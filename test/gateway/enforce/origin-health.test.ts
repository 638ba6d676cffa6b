import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { createOriginHealth, type OriginHealth } from '../../../src/gateway/enforce/origin-health.ts'
import { createPick } from '../../../src/gateway/enforce/pick-origin.ts'
import { type ManualClock, manualClock } from '../decide/manual-clock.ts'

const FAILURES = 3
const TRIAL_EVERY_MS = 2000

const healthBy = (clock: ManualClock, onChange: (isOut: boolean, code: string) => void = () => undefined) =>
  createOriginHealth({ clock, failures: FAILURES, trialEveryMs: TRIAL_EVERY_MS, onChange })

const times = (count: number, act: () => void): void => {
  for (let done = 0; done < count; done += 1) act()
}

describe('the health of an origin', () => {
  it('counts failures of both kinds, and only those in a row', () => {
    const changes: [boolean, string][] = []
    const health = healthBy(manualClock(), (...change) => changes.push(change))
    times(FAILURES - 1, () => health.notConnected('ECONNREFUSED'))
    health.answered()
    times(FAILURES - 1, () => health.notConnected('ECONNREFUSED'))
    assert.equal(health.isOut(), false)
    health.notAnswered('ECONNRESET')
    assert.equal(health.isOut(), true)
    health.answered()
    assert.equal(health.isOut(), false)
    assert.deepEqual(changes, [
      [true, 'ECONNRESET'],
      [false, 'ECONNRESET'],
    ])
  })

  it('is never unreachable for what callers can cause', () => {
    const health = healthBy(manualClock())
    times(100, () => health.notAnswered('UND_ERR_HEADERS_TIMEOUT'))
    assert.deepEqual([health.isOut(), health.isUnreachable()], [true, false])
  })

  it('is unreachable after connections in a row that failed, until one comes about', () => {
    const health = healthBy(manualClock())
    times(FAILURES, () => health.notConnected('ECONNREFUSED'))
    assert.equal(health.isUnreachable(), true)
    health.connected()
    assert.deepEqual([health.isOut(), health.isUnreachable()], [true, false])
  })

  it('allows one trial an interval, and the next one an interval after a failure', () => {
    const clock = manualClock()
    const health = healthBy(clock)
    times(FAILURES, () => health.notConnected('ECONNREFUSED'))
    assert.equal(health.takeTrial(), false)
    clock.pass(TRIAL_EVERY_MS)
    assert.deepEqual([health.takeTrial(), health.takeTrial()], [true, false])
    clock.pass(TRIAL_EVERY_MS / 2)
    health.notConnected('ECONNREFUSED')
    clock.pass(TRIAL_EVERY_MS / 2)
    assert.equal(health.takeTrial(), false)
    clock.pass(TRIAL_EVERY_MS / 2)
    assert.equal(health.takeTrial(), true)
  })

  it('goes by checks where there are any, whatever requests say', () => {
    const health = healthBy(manualClock())
    times(FAILURES, () => health.checked('HTTP 503'))
    health.answered()
    assert.equal(health.isOut(), true)
    health.notAnswered('ECONNRESET')
    health.checked(null)
    assert.equal(health.isOut(), false)
  })
})

describe('the choice of an origin', () => {
  const pool = (names: readonly string[]) => {
    const clock = manualClock()
    const health = new Map(names.map((name) => [name, healthBy(clock)]))
    const pick = createPick([...health].map(([value, its]) => ({ value, health: its })))
    const of = (name: string): OriginHealth => {
      const its = health.get(name)
      if (its === undefined) throw new Error(`no origin ${name}`)
      return its
    }
    const cut = (name: string) => times(FAILURES, () => of(name).notConnected('ECONNREFUSED'))
    return { clock, pick, of, cut }
  }

  it('is each in turn, without those that are out, and evenly among the others', () => {
    const { pick, cut } = pool(['a', 'b', 'c'])
    assert.deepEqual([pick(), pick(), pick(), pick()], ['a', 'b', 'c', 'a'])
    cut('b')
    assert.deepEqual([pick(), pick(), pick(), pick()], ['c', 'a', 'c', 'a'])
  })

  it('gives one that is out a trial now and then, and its turns when that went well', () => {
    const { clock, pick, of, cut } = pool(['a', 'b'])
    cut('b')
    clock.pass(TRIAL_EVERY_MS)
    assert.deepEqual([pick(), pick(), pick(), pick()], ['a', 'b', 'a', 'a'])
    of('b').answered()
    assert.deepEqual([pick(), pick()], ['b', 'a'])
  })

  it('is none when none can be reached, but for one trial an interval', () => {
    const { clock, pick, cut } = pool(['a', 'b'])
    cut('a')
    cut('b')
    assert.equal(pick(), null)
    clock.pass(TRIAL_EVERY_MS)
    assert.deepEqual([pick(), pick(), pick()], ['a', 'b', null])
  })

  it('is one that can be reached, however it fares, before it is none', () => {
    const { pick, of, cut } = pool(['a', 'b'])
    cut('a')
    times(FAILURES, () => of('b').notAnswered('UND_ERR_HEADERS_TIMEOUT'))
    assert.deepEqual([pick(), pick()], ['b', 'b'])
  })

  it('tries nothing on callers that a check has found ailing while others serve', () => {
    const { clock, pick, of } = pool(['a', 'b'])
    times(FAILURES, () => of('a').checked('HTTP 503'))
    clock.pass(TRIAL_EVERY_MS)
    assert.deepEqual([pick(), pick()], ['b', 'b'])
    times(FAILURES, () => of('b').checked('HTTP 503'))
    assert.deepEqual([pick(), pick()], ['a', 'b'])
  })

  it('leaves out what was tried', () => {
    const { pick } = pool(['a', 'b'])
    assert.equal(pick(new Set(['a'])), 'b')
    assert.equal(pick(new Set(['a', 'b'])), null)
  })
})
