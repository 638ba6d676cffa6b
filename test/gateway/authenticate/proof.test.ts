import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { refuse } from '../../../src/core/refusals.ts'
import { createAuthenticate } from '../../../src/gateway/authenticate/authenticate.ts'
import type { Authenticator, Circumstances, Prove } from '../../../src/gateway/authenticate/authenticator.ts'
import { BAD, bearer, outcomeOf, requestOf, routeOf, testClock } from './harness.ts'

const FOREVER = { untilMs: Number.POSITIVE_INFINITY, vouched: () => true }

/** Takes any token and keeps it. */
const trusting = (prove: Prove | null): { readonly door: Authenticator; readonly calls: () => number } => {
  let calls = 0
  const description = {
    carrier: { kind: 'authorization', scheme: 'Bearer' },
    selector: {},
    subjectTypes: ['User'],
    prefix: '',
  } as const
  const door: Authenticator = {
    name: 'staff',
    type: 'trusting',
    carrier: description.carrier,
    description,
    challenge: { scheme: 'Bearer', parameters: [] },
    declines: () => null,
    authenticate: ({ digest }) => {
      calls += 1
      const credential = { type: 'trusting', authenticator: 'staff', id: '', digest }
      return {
        identity: { subject: { type: 'User', id: 'alice' }, credential, claims: {} },
        keep: FOREVER,
        prove,
      }
    },
  }
  return { door, calls: () => calls }
}

const stageOf = (door: Authenticator) =>
  createAuthenticate({ authenticators: new Map([['staff', door]]), clock: testClock() })

describe('what has to be proved with each request', () => {
  test('is asked for also when the credential is known, with the request at hand', async () => {
    const seen: Circumstances[] = []
    const { door, calls } = trusting((_presented, circumstances) => {
      seen.push(circumstances)
      return null
    })
    const authenticate = stageOf(door)
    const requests = [1, 2, 3].map((n) => requestOf('Authorization', 'Bearer token', 'DPoP', `proof ${n}`))
    for (const request of requests) {
      assert.equal(outcomeOf(await authenticate(request, routeOf('staff'))), 'User alice')
    }
    assert.equal(calls(), 1)
    assert.deepEqual(
      seen.map(({ request }) => request),
      requests,
    )
  })

  test('refuses a known credential when it is missing, with a challenge', async () => {
    let proved = true
    const { door } = trusting(async () =>
      proved ? null : refuse('authenticate', 'unauthenticated', 'no proof'),
    )
    const authenticate = stageOf(door)
    assert.equal(outcomeOf(await authenticate(bearer('token'), routeOf('staff'))), 'User alice')
    proved = false
    assert.equal(outcomeOf(await authenticate(bearer('token'), routeOf('staff'))), BAD)
  })

  test('must be there for a token that comes by the scheme DPoP, known or not', async () => {
    const { door } = trusting(null)
    const authenticate = stageOf(door)
    const request = requestOf('Authorization', 'DPoP token')
    assert.equal(outcomeOf(await authenticate(request, routeOf('staff'))), BAD)
    assert.equal(outcomeOf(await authenticate(bearer('token'), routeOf('staff'))), 'User alice')
    assert.equal(outcomeOf(await authenticate(request, routeOf('staff'))), BAD)
  })
})
