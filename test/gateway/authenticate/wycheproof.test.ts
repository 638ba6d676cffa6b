import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { isRefusal } from '../../../src/core/refusals.ts'
import { ALGORITHMS } from '../../../src/gateway/authenticate/algorithms.ts'
import { parseKeySet } from '../../../src/gateway/authenticate/jwks.ts'
import { parseJwt } from '../../../src/gateway/authenticate/jwt-parse.ts'
import { acceptedAlgorithm, findSigner } from '../../../src/gateway/authenticate/jwt-signature.ts'
import { fixedKeys } from '../../../src/gateway/authenticate/key-source.ts'
import { bearer, outcomeOf, prepare, routeOf, STAFF, stageOf, testClock } from './harness.ts'

// The vectors of Project Wycheproof, as a module of Go has them; they are read, not copied.
const MODULE = 'github.com/c2sp/wycheproof@v0.0.0-20260902155932-3fa63dd0344a'

interface Vector {
  readonly tcId: number
  readonly comment: string
  readonly jws: unknown
  readonly result: 'valid' | 'invalid'
}

interface Group {
  readonly public?: Readonly<Record<string, unknown>>
  readonly private?: Readonly<Record<string, unknown>>
  readonly tests: readonly Vector[]
}

const load = (): readonly Group[] | string => {
  const options = { encoding: 'utf8', cwd: tmpdir(), timeout: 120_000 } as const
  const { stdout, status, error } = spawnSync('go', ['mod', 'download', '-json', MODULE], options)
  if (error !== undefined || status !== 0) return `the vectors cannot be had: ${MODULE} by the command go`
  const file = join(JSON.parse(stdout).Dir, 'testvectors_v1', 'json_web_signature_test.json')
  return JSON.parse(readFileSync(file, 'utf8')).testGroups
}

const loaded = load()
const groups = typeof loaded === 'string' ? [] : loaded
const skip = typeof loaded === 'string' ? loaded : false

const all = (result: Vector['result']) =>
  groups.flatMap((group) =>
    group.tests
      .filter((vector) => vector.result === result)
      .map((vector) => ({ group, vector, jws: textOf(vector) })),
  )

const textOf = ({ jws }: Vector): string => (typeof jws === 'string' ? jws : JSON.stringify(jws))

/** True when the signature is taken; what the payload is does not matter, since none of them holds claims. */
const isTaken = async (jws: string, { public: publicKey }: Group): Promise<boolean> => {
  const parsed = parseJwt(jws)
  if (typeof parsed === 'string' && !parsed.startsWith('the payload ')) return false
  const set = parseKeySet({ keys: [publicKey] })
  if ('problem' in set) return false
  const { alg, kid } = JSON.parse(Buffer.from(jws.split('.')[0] ?? '', 'base64url').toString())
  const token = { compact: jws, alg, kid, typ: '', claims: {}, header: {} }
  const algorithm = acceptedAlgorithm(token, new Set(ALGORITHMS))
  if (algorithm === null) return false
  const signer = await findSigner(token, algorithm, fixedKeys(set.keys), testClock())
  return typeof signer !== 'string' && !isRefusal(signer)
}

describe('the vectors of Project Wycheproof for signatures', { skip }, () => {
  test('are there', () => assert.ok(all('invalid').length > 300))

  test('that are valid are taken, by which it is seen that the others could be', async () => {
    const taken = []
    for (const { group, jws, vector } of all('valid')) {
      if (group.public !== undefined && (await isTaken(jws, group))) taken.push(vector.tcId)
    }
    assert.ok(taken.length >= 20, `${taken.length} were taken`)
  })

  test('that are invalid are all refused', async () => {
    const taken = []
    for (const { group, jws, vector } of all('invalid')) {
      if (group.public !== undefined && (await isTaken(jws, group)))
        taken.push(`${vector.tcId} ${vector.comment}`)
    }
    assert.deepEqual(taken, [])
  })

  test('are refused as tokens by a 401 or 400, whatever they hold, and never by a failure', async () => {
    for (const { group, jws, vector } of [...all('invalid'), ...all('valid')]) {
      const { public: publicKey, private: secretKey } = group
      const config =
        publicKey === undefined
          ? {
              jwksFile: undefined,
              secret: { env: Buffer.from(String(secretKey?.k), 'base64url').toString('latin1') },
            }
          : {}
      const world = { files: { 'jwks.json': { keys: [publicKey] } } }
      const entry = { ...STAFF, ...config }
      // Some of the keys are not fit for signatures, which is told at load.
      if (prepare('staff', entry, world).problems.length > 0) continue
      const result = await stageOf({ staff: entry }, world).authenticate(bearer(jws), routeOf('staff'))
      assert.match(outcomeOf(result), /^(?:unauthenticated|bad_request)/, `${vector.tcId} ${vector.comment}`)
    }
  })
})
