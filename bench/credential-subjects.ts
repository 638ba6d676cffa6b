import { randomBytes } from 'node:crypto'
import { createIssuer, createSigningKey, ISSUER, SUBJECT, sha256 } from './issuer.ts'
import { freePort, nodeServer, startProcess } from './processes.ts'
import { type Candidate, candidateOf, type Start, sallyport, type Way } from './subjects.ts'
import { HOST } from './world.ts'

const PATH = '/accounts/42'

const cold = (kind: string, authenticator: string, rest: Pick<Way, 'files' | 'token'>): Way => ({
  name: `Sallyport, new ${kind} every time`,
  path: PATH,
  grants: 'ttl: 5m',
  freshTokens: true,
  authenticator,
  ...rest,
})

/** The provider is asked about each token; it is on the other core, as it would be elsewhere. */
const opaque: Start = async (backendPort) => {
  const port = await freePort()
  const provider = await startProcess('surroundings', nodeServer('introspection', port), port)
  const endpoint = `endpoint: "http://127.0.0.1:${port}/introspect", clientId: gateway, clientSecret: { env: BENCH_GRANTS_SECRET }`
  const authenticator = `{ type: introspection, ${endpoint}, audience: bank, ${SUBJECT} }`
  const token = (number: number): string => `user-${number}-${randomBytes(12).toString('base64url')}`
  const subject = await sallyport(cold('opaque token', authenticator, { token }))(backendPort)
  return {
    ...subject,
    stop: async () => {
      await Promise.all([subject.stop(), provider.stop()])
    },
  }
}

const svid = (): Way => {
  const { jwks, token } = createIssuer('jwt-svid')
  const authenticator = `{ type: jwt-svid, trustDomain: bench.example, audience: bank, issuer: ${ISSUER}, bundleFile: bundle.json, ${SUBJECT} }`
  return cold('JWT-SVID', authenticator, {
    files: { 'config/bundle.json': jwks },
    token: (number) => token(`spiffe://bench.example/worker-${number}`),
  })
}

/** One token, and a proof of its key with each request. */
const bound = (): Way => {
  const { jwks, token } = createIssuer()
  const { jwk, sign } = createSigningKey()
  const { crv, kty, x, y } = jwk
  const one = token('alice', { cnf: { jkt: sha256(JSON.stringify({ crv, kty, x, y })) } })
  const ath = sha256(one)
  const proof = (): string =>
    sign(
      { typ: 'dpop+jwt', jwk: { crv, kty, x, y } },
      {
        jti: randomBytes(12).toString('base64url'),
        htm: 'GET',
        htu: `http://${HOST}${PATH}`,
        iat: Math.floor(Date.now() / 1000),
        ath,
      },
    )
  const authenticator = `{ type: jwt, issuer: ${ISSUER}, audience: bank, jwksFile: bound.json, algorithms: [ES256], dpop: { required: true }, ${SUBJECT} }`
  return cold('DPoP proof', authenticator, {
    files: { 'config/bound.json': jwks },
    token: () => `${one}\t${proof()}`,
  })
}

/** What a credential costs that was never seen, by its kind; the plain JWT is among the other gateways. */
export const credentialCandidates = (): readonly Candidate[] => [
  { name: 'Sallyport, new opaque token every time', missing: null, start: opaque },
  candidateOf(svid()),
  candidateOf(bound()),
]
