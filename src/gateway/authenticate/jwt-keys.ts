import type { Preparation } from '../../core/settings.ts'
import {
  type Algorithm,
  ASYMMETRIC_ALGORITHMS,
  isSymmetric,
  leastSecretBytes,
  SYMMETRIC_ALGORITHMS,
} from './algorithms.ts'
import { parseKeySet } from './jwks.ts'
import type { JwtConfig } from './jwt-config.ts'
import { fixedKeys, type KeySource } from './key-source.ts'
import { transportProblem } from './provider.ts'
import { type Publisher, publishedKeys } from './published-keys.ts'

export const DEFAULT_REFRESH_MS = 5 * 60_000
export const DEFAULT_COOLDOWN_MS = 30_000
export const DEFAULT_MAX_STALE_MS = 60 * 60_000
export const DEFAULT_TIMEOUT_MS = 5000

const noKeys = (): KeySource => fixedKeys([])

/** The accepted algorithms; reports those that do not go with the kind of key. */
export const acceptedAlgorithms = (config: JwtConfig, preparation: Preparation): ReadonlySet<Algorithm> => {
  const symmetric = config.secret !== undefined
  const accepted = config.algorithms ?? (symmetric ? SYMMETRIC_ALGORITHMS.slice(0, 1) : ASYMMETRIC_ALGORITHMS)
  accepted.forEach((algorithm, index) => {
    if (isSymmetric(algorithm) === symmetric) return
    const why = symmetric ? 'needs a public key, not a "secret"' : 'needs a "secret", not public keys'
    preparation.report({ path: ['algorithms', index], message: `${algorithm} ${why}` })
  })
  return new Set(accepted)
}

/** Finds the one source of keys and checks it; nothing is fetched before the result is called. */
export const prepareKeys = (
  name: string,
  config: JwtConfig,
  algorithms: ReadonlySet<Algorithm>,
  preparation: Preparation,
): (() => KeySource) => {
  const sources = (['jwksFile', 'jwksUri', 'secret'] as const).filter((key) => config[key] !== undefined)
  const [source, second] = sources
  if (second !== undefined) {
    preparation.report({
      path: [second],
      atKey: true,
      message: `"${second}" beside "${source}": keys come from one place only`,
    })
    return noKeys
  }
  if (source === 'jwksFile' || source === 'secret') reportRemoteOnly(config, source, preparation)
  if (config.jwksFile !== undefined) return fileKeys(config.jwksFile, algorithms, preparation)
  if (config.secret !== undefined) return secretKey(config.secret.reveal(), algorithms, preparation)
  if (config.jwksUri === undefined)
    return remote(name, config, { issuer: config.issuer }, 'issuer', preparation)
  return remote(name, config, { jwksUri: config.jwksUri }, 'jwksUri', preparation)
}

const reportRemoteOnly = (config: JwtConfig, source: string, preparation: Preparation): void => {
  for (const key of ['refresh', 'cooldown', 'maxStale', 'timeout'] as const) {
    if (config[key] === undefined) continue
    const message = `"${key}" has no effect with "${source}": nothing is fetched`
    preparation.report({ path: [key], atKey: true, message })
  }
}

const fileKeys = (
  path: string,
  algorithms: ReadonlySet<Algorithm>,
  preparation: Preparation,
): (() => KeySource) => {
  const at = ['jwksFile']
  const content = preparation.readFile(path, at)
  if (content === null) return noKeys
  const report = (message: string) => preparation.report({ path: at, message: `the key set: ${message}` })
  const set = parseKeySet(parseJson(content))
  if ('problem' in set) {
    report(set.problem)
    return noKeys
  }
  if (set.holdsSecret) report('it holds a private or symmetric key, which does not belong in it')
  if (!set.keys.some((key) => key.algorithms.some((algorithm) => algorithms.has(algorithm)))) {
    report('no key in it serves one of the accepted algorithms')
  }
  return () => fixedKeys(set.keys)
}

const parseJson = (content: Buffer): unknown => {
  try {
    return JSON.parse(content.toString('utf8').replace(/^\uFEFF/, ''))
  } catch {
    return null
  }
}

const secretKey = (
  secret: string,
  algorithms: ReadonlySet<Algorithm>,
  preparation: Preparation,
): (() => KeySource) => {
  const material = Buffer.from(secret, 'utf8')
  for (const algorithm of algorithms) {
    const least = leastSecretBytes(algorithm)
    if (material.length >= least) continue
    const message = `the secret is shorter than ${least} bytes, which ${algorithm} needs`
    preparation.report({ path: ['secret'], message })
  }
  return () =>
    fixedKeys([{ kid: undefined, algorithms: [...SYMMETRIC_ALGORITHMS], material, fingerprint: 'secret' }])
}

const remote = (
  authenticator: string,
  config: JwtConfig,
  publisher: Publisher,
  key: 'issuer' | 'jwksUri',
  preparation: Preparation,
): (() => KeySource) => {
  const problem = transportProblem(config[key] ?? '', config.insecure)
  if (problem !== null) {
    const remedy =
      key === 'issuer'
        ? 'without jwksFile, jwksUri or secret it must be an address for OpenID discovery'
        : 'use https, or say "insecure: true"'
    preparation.report({ path: [key], message: `keys cannot be fetched from it: ${problem}; ${remedy}` })
  }
  const maxStaleMs = config.maxStale ?? DEFAULT_MAX_STALE_MS
  const options = {
    authenticator,
    publisher,
    refreshMs: config.refresh ?? Math.min(DEFAULT_REFRESH_MS, maxStaleMs / 2),
    cooldownMs: config.cooldown ?? DEFAULT_COOLDOWN_MS,
    maxStaleMs,
    timeoutMs: config.timeout ?? DEFAULT_TIMEOUT_MS,
    insecure: config.insecure,
  }
  const { clock, log } = preparation
  return () => {
    // An edit of what the token must say is no reason to forget keys, which may be out of reach just then.
    const key = `published keys: ${JSON.stringify(options)}`
    const { value, release } = preparation.share(key, () => publishedKeys({ ...options, clock, log }))
    return { ...value, close: release }
  }
}
