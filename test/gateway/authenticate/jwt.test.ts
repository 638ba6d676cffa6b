import assert from 'node:assert/strict'
import { createPublicKey } from 'node:crypto'
import { before, describe, test } from 'node:test'
import fc from 'fast-check'
import {
  encodePart,
  forge,
  type Json,
  jwksOf,
  makeKey,
  makeSecretKey,
  type TestKey,
  withHeader,
} from '../../support/tokens.ts'
import {
  BAD,
  bearer,
  CLAIMS,
  identityOf,
  NOW,
  outcomeOf,
  refusalOf,
  routeOf,
  STAFF,
  type Stage,
  stageOf,
} from './harness.ts'

const ROUTE = routeOf('staff')
const GOOD = 'User alice'

let key: TestKey
let rsa: TestKey
let stage: Stage

before(async () => {
  ;[key, rsa] = await Promise.all([makeKey('k1'), makeKey('r1', 'RS256')])
  stage = stageOf({ staff: STAFF }, { files: { 'jwks.json': jwksOf(key, rsa) } })
})

const present = (token: string) => stage.authenticate(bearer(token), ROUTE)

/** A token that should be refused with a 401, for the reason told to operators. */
const isBad = async (token: string, reason: RegExp): Promise<void> => {
  const result = await present(token)
  assert.equal(outcomeOf(result), BAD)
  const { detail, publicDetail, stage: at } = refusalOf(result)
  assert.match(detail, reason)
  assert.equal(at, 'authenticate')
  assert.equal(publicDetail, undefined)
}

describe('a good token', () => {
  test('becomes the subject, the credential and the claims', async () => {
    const claims = { ...CLAIMS, jti: 'token-7', groups: ['clerks'] }
    const identity = identityOf(await present(await key.sign(claims)))
    assert.deepEqual(identity.subject, { type: 'User', id: 'alice' })
    assert.deepEqual({ ...identity.claims }, claims)
    const { digest, ...credential } = identity.credential
    assert.match(digest, /^[0-9a-f]{64}$/)
    assert.deepEqual(credential, {
      type: 'jwt',
      authenticator: 'staff',
      id: 'token-7',
      issuer: CLAIMS.iss,
      issuedAt: CLAIMS.iat,
      expiresAt: CLAIMS.exp,
    })
  })

  test('without a jti is named by the start of its digest', async () => {
    const { credential } = identityOf(await present(await key.sign(CLAIMS)))
    assert.equal(credential.id, credential.digest.slice(0, 16))
  })

  for (const alg of ['RS256', 'PS384', 'ES384', 'ES512', 'EdDSA', 'Ed25519']) {
    test(`may be signed with ${alg}`, async () => {
      const own = await makeKey('own', alg)
      const { authenticate } = stageOf({ staff: STAFF }, { files: { 'jwks.json': jwksOf(own) } })
      assert.equal(outcomeOf(await authenticate(bearer(await own.sign(CLAIMS)), ROUTE)), GOOD)
    })
  }

  test('may be signed with a configured secret', async () => {
    const shared = makeSecretKey('any', 'a secret of at least 32 bytes, really')
    const { jwksFile: _, ...config } = STAFF
    const { authenticate } = stageOf({
      staff: { ...config, secret: { env: 'a secret of at least 32 bytes, really' } },
    })
    assert.equal(outcomeOf(await authenticate(bearer(await shared.sign(CLAIMS)), ROUTE)), GOOD)
    assert.equal(outcomeOf(await authenticate(bearer(await rsa.sign(CLAIMS)), ROUTE)), BAD)
    assert.equal(outcomeOf(await authenticate(bearer(forge({ alg: 'none' }, CLAIMS)), ROUTE)), BAD)
  })

  test('needs no kid when the key set has one', async () => {
    assert.equal(outcomeOf(await present(await key.sign(CLAIMS, { kid: undefined }))), GOOD)
  })

  test('may say whom it is for in a list', async () => {
    assert.equal(outcomeOf(await present(await key.sign({ ...CLAIMS, aud: ['other', 'bank'] }))), GOOD)
  })

  test('may have a scheme in any case and several spaces before it', async () => {
    const token = await key.sign(CLAIMS)
    for (const scheme of ['bearer', 'BEARER', 'bEaReR  ']) {
      const request = { ...bearer(''), headers: ['aUTHORIZATION', `${scheme} ${token}`] }
      assert.equal(outcomeOf(await stage.authenticate(request, ROUTE)), GOOD)
    }
  })

  test('is accepted while the clocks differ by no more than the tolerance', async () => {
    for (const claims of [{ exp: NOW - 4 }, { nbf: NOW + 4 }, { iat: NOW + 4 }]) {
      assert.equal(outcomeOf(await present(await key.sign({ ...CLAIMS, ...claims }))), GOOD)
    }
  })

  test('may carry header members that point to keys, and they are ignored', async () => {
    const attacker = await makeKey('k1')
    const pointers = { jku: 'http://127.0.0.1:1/jwks', x5u: 'http://127.0.0.1:1/x', x5c: ['AAAA'] }
    assert.equal(outcomeOf(await present(await key.sign(CLAIMS, pointers))), GOOD)
    await isBad(await attacker.sign(CLAIMS, { ...pointers, jwk: attacker.jwk }), /does not verify/)
  })

  test('may say that its payload is encoded, as a critical extension', async () => {
    assert.equal(outcomeOf(await present(await key.sign(CLAIMS, { crit: ['b64'], b64: true }))), GOOD)
  })
})

describe('the signature', () => {
  test('alg none is refused in every spelling', async () => {
    for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
      await isBad(`${encodePart({ alg })}.${encodePart(CLAIMS)}.AAAA`, /alg of the token is not accepted/)
      await isBad(`${encodePart({ alg })}.${encodePart(CLAIMS)}.`, /signature is not canonical/)
    }
  })

  test('a public key is never taken for a shared secret', async () => {
    const pem = createPublicKey({ key: { ...rsa.jwk }, format: 'jwk' })
    const spellings = [
      pem.export({ type: 'spki', format: 'pem' }).toString(),
      pem.export({ type: 'spki', format: 'pem' }).toString().trim(),
      pem.export({ type: 'spki', format: 'der' }),
      JSON.stringify(rsa.jwk),
      String(rsa.jwk.n),
    ]
    for (const spelling of spellings) {
      for (const alg of ['HS256', 'HS384', 'HS512']) {
        await isBad(await makeSecretKey('r1', spelling, alg).sign(CLAIMS), /alg of the token is not accepted/)
      }
    }
  })

  test('a key is not used for an algorithm of another family', async () => {
    await isBad(withHeader(await rsa.sign(CLAIMS), { alg: 'ES256', kid: 'r1' }), /no key of the key set/)
    await isBad(withHeader(await key.sign(CLAIMS), { alg: 'RS256', kid: 'k1' }), /no key of the key set/)
    await isBad(withHeader(await rsa.sign(CLAIMS), { alg: 'PS256', kid: 'r1' }), /no key of the key set/)
  })

  test('an algorithm that is not configured is refused although the key set has a key for it', async () => {
    const { authenticate } = stageOf(
      { staff: { ...STAFF, algorithms: ['RS256'] } },
      { files: { 'jwks.json': jwksOf(key, rsa) } },
    )
    assert.equal(outcomeOf(await authenticate(bearer(await rsa.sign(CLAIMS)), ROUTE)), GOOD)
    assert.equal(outcomeOf(await authenticate(bearer(await key.sign(CLAIMS)), ROUTE)), BAD)
  })

  test('names that every object has find neither an algorithm nor a key', async () => {
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
      await isBad(forge({ alg: name, kid: 'k1' }, CLAIMS), /alg of the token is not accepted/)
      await isBad(await key.sign(CLAIMS, { kid: name }), /no key of the key set/)
    }
  })

  test('a kid that looks like a path or a query is a name that nobody knows', async () => {
    for (const kid of ['../../jwks.json', '/dev/null', "k1' OR '1'='1", 'k1\u0000', 'K1', 'k1 ', '']) {
      await isBad(await key.sign(CLAIMS, { kid }), /no key of the key set/)
    }
  })

  test('one changed bit anywhere is refused', async () => {
    const token = await key.sign(CLAIMS)
    await fc.assert(
      fc.asyncProperty(fc.nat(token.length - 1), fc.integer({ min: 0, max: 6 }), async (at, bit) => {
        const changed = String.fromCharCode(token.charCodeAt(at) ^ (1 << bit))
        const result = await present(token.slice(0, at) + changed + token.slice(at + 1))
        assert.equal(outcomeOf(result), BAD)
      }),
      { numRuns: 150 },
    )
  })

  test('the signature of another token is refused', async () => {
    const [header, , signature] = (await key.sign(CLAIMS)).split('.')
    await isBad(`${header}.${encodePart({ ...CLAIMS, sub: 'root' })}.${signature}`, /does not verify/)
  })

  test('an ECDSA signature of zeros is refused (CVE-2022-21449)', async () => {
    const zeros = Buffer.alloc(64).toString('base64url')
    await isBad(forge({ alg: 'ES256', kid: 'k1' }, CLAIMS, zeros), /does not verify/)
  })

  test('critical extensions are refused, and so is a payload that is not encoded', async () => {
    const extension = { crit: ['urn:example:extension'], 'urn:example:extension': true }
    await isBad(await key.sign(CLAIMS, extension), /critical extension/)
    await isBad(forge({ alg: 'ES256', kid: 'k1', crit: [] }, CLAIMS), /critical extension/)
    await isBad(forge({ alg: 'ES256', kid: 'k1', crit: 'b64', b64: true }, CLAIMS), /critical extension/)
    await isBad(forge({ alg: 'ES256', kid: 'k1', crit: ['b64'] }, CLAIMS), /critical extension/)
    await isBad(forge({ alg: 'ES256', kid: 'k1', crit: ['b64'], b64: false }, CLAIMS), /not encoded/)
    await isBad(forge({ alg: 'ES256', kid: 'k1', b64: false }, CLAIMS), /not encoded/)
  })
})

describe('the form of a token', () => {
  const other: Readonly<Record<string, (token: string) => string>> = {
    'nothing at all': () => '',
    'a fourth part': (token) => `${token}.AAAA`,
    'a dot at the end': (token) => `${token}.`,
    'a dot at the beginning': (token) => `.${token}`,
    'two parts': (token) => token.split('.').slice(0, 2).join('.'),
    'five parts, as an encrypted token has': (token) => `${token}.AAAA.AAAA`,
    'padding at the end': (token) => `${token}=`,
    'padding in the header': (token) => token.replace('.', '=.'),
    'a space at the end': (token) => `${token} `,
    'a space in the middle': (token) => token.replace('.', '. '),
    'a newline': (token) => `${token}\n`,
    'the alphabet of plain base64': (token) => token.replace(/[-_A-Z]/, '+'),
    'a character that is not ASCII': (token) => `${token.slice(0, -1)}é`,
    'a second token': (token) => `${token}, ${token}`,
    'a name before it': (token) => `token=${token}`,
    quotes: (token) => `"${token}"`,
    'a character left over': (token) => `${token}A`.replace(/\.([^.]*)$/, (tail) => tail.padEnd(90, 'A')),
    'more than 16 KiB': (token) => token + 'A'.repeat(16_384),
  }
  for (const [what, change] of Object.entries(other)) {
    test(`${what} is refused`, async () => {
      await isBad(change(await key.sign(CLAIMS)), /staff: the (token|header|payload|signature)/)
    })
  }

  test('base64url with bits that mean nothing is another text for the same bytes, and refused', async () => {
    const token = await key.sign(CLAIMS)
    // 64 bytes leave four bits over in the last character of the signature.
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    const last = alphabet.indexOf(token.slice(-1))
    const twin = token.slice(0, -1) + alphabet.charAt(last + 1)
    assert.deepEqual(
      Buffer.from(twin.split('.')[2] ?? '', 'base64url'),
      Buffer.from(token.split('.')[2] ?? '', 'base64url'),
    )
    await isBad(twin, /signature is not canonical base64url/)
  })

  const payloads: Readonly<Record<string, string>> = {
    'duplicate claims': `{"sub":"root",${JSON.stringify(CLAIMS).slice(1)}`,
    'duplicate claims after unescaping': `{"s\\u0075b":"root",${JSON.stringify(CLAIMS).slice(1)}`,
    'a byte order mark': `\uFEFF${JSON.stringify(CLAIMS)}`,
    'a list': `[${JSON.stringify(CLAIMS)}]`,
    'a string': '"alice"',
    null: 'null',
    nothing: '',
    'a trailing comma': `${JSON.stringify(CLAIMS).slice(0, -1)},}`,
    'two objects': `${JSON.stringify(CLAIMS)}{}`,
    'an exp of 1e400': JSON.stringify(CLAIMS).replace(/"exp":\d+/, '"exp":1e400'),
    'an exp of NaN': JSON.stringify(CLAIMS).replace(/"exp":\d+/, '"exp":NaN'),
    'deep nesting': `${JSON.stringify(CLAIMS).slice(0, -1)},"x":${'['.repeat(40)}${']'.repeat(40)}}`,
  }
  for (const [what, payload] of Object.entries(payloads)) {
    test(`a payload with ${what} is refused although it is signed`, async () => {
      await isBad(await key.signText(payload), /staff: the (payload|token) /)
    })
  }

  test('broken UTF-8 is refused although it is signed', async () => {
    const payload = Buffer.from(JSON.stringify({ ...CLAIMS, name: 'é' }), 'latin1').toString('base64url')
    await isBad(`${encodePart({ alg: 'ES256' })}.${payload}.AAAA`, /not UTF-8/)
  })

  test('duplicate, missing or mistyped header members are refused', async () => {
    await isBad(forge('{"alg":"none","alg":"ES256"}', CLAIMS), /duplicate key/)
    await isBad(forge('{"alg":"ES256","\\u0061lg":"none"}', CLAIMS), /duplicate key/)
    await isBad(forge({ kid: 'k1' }, CLAIMS), /no alg/)
    await isBad(forge({ alg: ['ES256'] }, CLAIMS), /no alg/)
    await isBad(forge({ alg: 'ES256', kid: 1 }, CLAIMS), /kid is not a string/)
    await isBad(forge({ alg: 'ES256', typ: 1 }, CLAIMS), /typ is not a string/)
    await isBad(forge([], CLAIMS), /not a JSON object/)
  })

  test('no text makes it throw, and only a signed one passes', async () => {
    const part = fc.oneof(fc.string(), fc.json().map(encodePart), fc.base64String())
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 5 }), async (parts) => {
        assert.equal(outcomeOf(await present(parts.join('.'))), BAD)
      }),
      { numRuns: 300 },
    )
  })
})

describe('the claims', () => {
  const bad: Readonly<Record<string, readonly [Json, RegExp]>> = {
    'no exp': [{ exp: undefined }, /no exp/],
    'an exp in a string': [{ exp: String(NOW + 600) }, /exp is not a number/],
    'an exp of null': [{ exp: null }, /exp is not a number/],
    'an exp that has passed': [{ exp: NOW - 5 }, /expired/],
    'a negative exp': [{ exp: -1 }, /expired/],
    'an nbf in the future': [{ nbf: NOW + 6 }, /not valid yet/],
    'an nbf in a string': [{ nbf: '0' }, /nbf is not a number/],
    'an iat in the future': [{ iat: NOW + 6 }, /issued in the future/],
    'an iat in a list': [{ iat: [NOW] }, /iat is not a number/],
    'no iss': [{ iss: undefined }, /no iss/],
    'another iss': [{ iss: 'https://idp.example.com/' }, /not issued by https:\/\/idp.example.com$/],
    'an iss in a list': [{ iss: [CLAIMS.iss] }, /not issued by/],
    'an iss in other letters': [{ iss: 'https://IDP.example.com' }, /not issued by/],
    'no aud': [{ aud: undefined }, /no aud/],
    'another aud': [{ aud: 'shop' }, /another audience/],
    'an empty list of aud': [{ aud: [] }, /another audience/],
    'an aud that only starts right': [{ aud: 'bank2' }, /another audience/],
    'an aud in an object': [{ aud: { bank: true } }, /aud is not/],
    'an aud in a list in a list': [{ aud: [['bank']] }, /aud is not/],
    'a number beside the aud': [{ aud: ['bank', 1] }, /aud is not/],
    'no sub': [{ sub: undefined }, /sub is not/],
    'an empty sub': [{ sub: '' }, /sub is not/],
    'a sub in a list': [{ sub: ['alice'] }, /sub is not/],
    'a cnf with a thumbprint that is none': [{ cnf: { jkt: 'AAAA' } }, /thumbprint/],
    'a cnf of an unknown method': [{ cnf: { other: 1 } }, /not known/],
    'a cnf of null': [{ cnf: null }, /not an object/],
  }
  for (const [what, [claims, reason]] of Object.entries(bad)) {
    test(`${what}: refused although it is signed`, async () => {
      await isBad(await key.sign({ ...CLAIMS, ...claims }), reason)
    })
  }

  test('unicode escapes are read before anything is compared', async () => {
    const escaped = JSON.stringify(CLAIMS).replace('"alice"', '"\\u0061lice"').replace('"sub"', '"s\\u0075b"')
    assert.equal(outcomeOf(await present(await key.signText(escaped))), GOOD)
  })

  test('a token for an audience is refused where none is configured, and one for nobody is not', async () => {
    const { audience: _, ...config } = STAFF
    const { authenticate } = stageOf({ staff: config }, { files: { 'jwks.json': jwksOf(key) } })
    assert.equal(outcomeOf(await authenticate(bearer(await key.sign(CLAIMS)), ROUTE)), BAD)
    const forNobody = await key.sign({ ...CLAIMS, aud: undefined })
    assert.equal(outcomeOf(await authenticate(bearer(forNobody), ROUTE)), GOOD)
  })

  test('where only access tokens are accepted, other types are refused', async () => {
    const { authenticate } = stageOf(
      { staff: { ...STAFF, typ: 'at+jwt' } },
      { files: { 'jwks.json': jwksOf(key) } },
    )
    for (const typ of ['at+jwt', 'AT+JWT', 'application/at+jwt', 'Application/AT+jwt']) {
      assert.equal(outcomeOf(await authenticate(bearer(await key.sign(CLAIMS, { typ })), ROUTE)), GOOD)
    }
    for (const typ of ['JWT', undefined, 'id+jwt', 'at+jwt2', 'application/application/at+jwt']) {
      assert.equal(outcomeOf(await authenticate(bearer(await key.sign(CLAIMS, { typ })), ROUTE)), BAD)
    }
  })
})

describe('the subject', () => {
  const subjectOf = async (config: Json, claims: Json) => {
    const { authenticate } = stageOf(
      { staff: { ...STAFF, ...config } },
      { files: { 'jwks.json': jwksOf(key) } },
    )
    return authenticate(bearer(await key.sign({ ...CLAIMS, ...claims })), ROUTE)
  }

  test('is mapped from the claims, with its prefix before the id', async () => {
    const subject = { type: 'Clerk', id: '$claims.email', properties: { groups: '$claims.?groups' } }
    const claims = { email: 'a@example.com', groups: ['x'] }
    assert.deepEqual(identityOf(await subjectOf({ subject, prefix: 'staff|' }, claims)).subject, {
      type: 'Clerk',
      id: 'staff|a@example.com',
      properties: { groups: ['x'] },
    })
  })

  test('is refused with denied when a claim is missing or makes no id', async () => {
    const subject = { id: '$claims.email' }
    assert.equal(outcomeOf(await subjectOf({ subject }, {})), 'denied')
    for (const email of ['', 7, null, ['a'], { a: 1 }, 'a\u0000b']) {
      const refusal = refusalOf(await subjectOf({ subject }, { email }))
      assert.equal(refusal.refusal, 'denied')
      assert.equal(refusal.stage, 'authenticate')
    }
  })

  test('does not take properties from a claim of the wrong shape', async () => {
    const subject = { properties: { x: 1 }, type: '$claims.kind' }
    assert.equal(outcomeOf(await subjectOf({ subject }, { kind: 'Robot' })), 'Robot alice')
    assert.equal(outcomeOf(await subjectOf({ subject }, { kind: ['Robot'] })), 'denied')
  })

  test('is told for claims alone, as explain needs it', () => {
    const identity = stage.authenticators.get('staff')?.fromClaims?.({ ...CLAIMS })
    assert.ok(identity !== undefined)
    assert.equal(outcomeOf(identity), GOOD)
  })
})

test('nothing of a token is in the reasons of its refusal', async () => {
  const marker = 'MARKERxMARKER'
  const tokens = [
    await key.sign({ ...CLAIMS, iss: marker }),
    await key.sign({ ...CLAIMS, aud: marker }),
    await key.sign(CLAIMS, { kid: marker }),
    forge({ alg: marker }, CLAIMS),
    forge({ alg: 'ES256', [marker]: 1, crit: [marker] }, CLAIMS),
    forge(`{"alg":"ES256","${marker}":1,"${marker}":2}`, CLAIMS),
    `${marker}.${marker}.${marker}`,
    marker,
  ]
  for (const token of tokens) {
    const result = await present(token)
    const text = JSON.stringify(result)
    assert.equal(outcomeOf(result), BAD)
    for (const part of token.split('.')) assert.ok(!text.includes(part) && !text.includes(marker))
  }
})
