import { z } from 'zod'
import type { AccessRequest } from '../../../core/access-request.ts'
import type { JsonObject } from '../../../core/json.ts'
import type { Preparation, Settings } from '../../../core/settings.ts'
import { parseStrictJson } from '../../../core/strict-json.ts'
import { isJsonObject } from './answer-context.ts'
import { pollBundle } from './bundle-poll.ts'
import { BUNDLE_ALGORITHMS, type BundleVerification, bundleVerification } from './bundle-signature.ts'
import {
  defineEngine,
  type Engine,
  type EngineAnswer,
  type EngineAnswers,
  type HttpQuestion,
} from './engine.ts'
import { failedAnswer, readRegoResult } from './opa-answer.ts'
import { envoyInput } from './opa-envoy-input.ts'
import { configurationHash, unavailable } from './remote-engine.ts'
import { loadWasmPolicy, type WasmOptions, type WasmPolicy } from './wasm-policy.ts'

const verifyConfig = (s: Settings) =>
  z.strictObject({
    algorithm: z.enum(BUNDLE_ALGORITHMS).describe('How bundles are signed, such as RS256 or ES256.'),
    keyFile: s.path().optional().describe('PEM file with the public key, or the certificate, of who signs.'),
    secret: s.secret().optional().describe('The shared secret of HS256, HS384 and HS512.'),
    scope: z
      .string()
      .min(1)
      .optional()
      .describe('What the signature must say as its scope, default anything.'),
  })

const config = (s: Settings) =>
  z
    .strictObject({
      type: z.literal('opa-wasm'),
      bundle: z
        .union([
          s.url().describe('Address that the bundle is fetched from, and asked again with its ETag.'),
          s.path().describe('A bundle, or policy.wasm alone, of `opa build -t wasm`.'),
        ])
        .describe('Where the compiled policy is: a file, or an http(s) URL.'),
      entrypoint: z
        .string()
        .min(1)
        .describe('The rule that decides, as it was given to `opa build -e`, such as gateway/authz.'),
      data: s
        .path()
        .optional()
        .describe('A JSON file, whose keys are added to the data of the bundle; default none.'),
      input: z
        .enum(['authzen', 'envoy'])
        .default('authzen')
        .describe(
          "What Rego finds as `input`: the access request as AuthZEN writes it, or the request as OPA-Envoy shows it, with the caller's headers and credentials; default authzen.",
        ),
      verify: verifyConfig(s)
        .optional()
        .describe('Who must have signed the bundle; default anybody, and nobody.'),
      poll: s
        .duration({ minMs: 100, maxMs: 86_400_000 })
        .prefault('60s')
        .describe('How often a URL is asked for a newer bundle, default 60s. A file is watched instead.'),
      timeout: s
        .duration({ minMs: 10, maxMs: 600_000 })
        .prefault('10s')
        .describe('Time to fetch a bundle, default 10s.'),
      token: s
        .secret()
        .optional()
        .describe('Sent as `Authorization: Bearer` to the bundle server; default none.'),
    })
    .describe('Rego, compiled to WebAssembly, in this process.')

type WasmConfig = z.infer<ReturnType<typeof config>>

/** Open Policy Agent's compiled policies in this process; answers at once. */
export const opaWasm = defineEngine({
  type: 'opa-wasm',
  config,
  prepare: (name, settings: WasmConfig, preparation) => {
    const { report, readFile } = preparation
    const options: WasmOptions = {
      entrypoint: settings.entrypoint,
      data: settings.data === undefined ? null : readData(settings.data, preparation),
      verification: settings.verify === undefined ? null : readVerification(settings.verify, preparation),
    }
    if (/^https?:/i.test(settings.bundle)) return () => createRemote(name, settings, options, preparation)
    const content = readFile(settings.bundle, ['bundle'])
    const loaded = content === null ? null : loadWasmPolicy(content, options)
    if (loaded !== null && 'problem' in loaded) {
      report({ path: ['bundle'], rule: 'bundle', message: `the bundle cannot be used: ${loaded.problem}` })
    }
    return () => {
      if (loaded === null || 'problem' in loaded) throw new Error(`the engine ${name} has no bundle`)
      return engineOf(name, settings, () => loaded)
    }
  },
})

const readData = (path: string, { readFile, report }: Preparation): JsonObject | null => {
  const content = readFile(path, ['data'])
  if (content === null) return null
  const parsed = parseStrictJson(content.toString('utf8'), {
    caseInsensitiveDuplicates: false,
    maxDepth: 100,
  })
  if ('value' in parsed && isJsonObject(parsed.value)) return parsed.value
  const what = 'problem' in parsed ? parsed.problem : 'it is no object'
  report({ path: ['data'], rule: 'bundle-data', message: `the data cannot be used: ${what}` })
  return null
}

const readVerification = (
  { algorithm, keyFile, secret, scope }: NonNullable<WasmConfig['verify']>,
  { readFile, report }: Preparation,
): BundleVerification | null => {
  const isShared = algorithm.startsWith('HS')
  if (
    isShared ? secret === undefined || keyFile !== undefined : keyFile === undefined || secret !== undefined
  ) {
    const expected = isShared ? 'secret, and no keyFile' : 'keyFile, and no secret'
    report({ path: ['verify'], rule: 'bundle-key', message: `${algorithm} is verified with a ${expected}` })
    return null
  }
  const key = secret?.reveal() ?? (keyFile === undefined ? null : readFile(keyFile, ['verify', 'keyFile']))
  if (key === null) return null
  try {
    return bundleVerification(algorithm, key, scope ?? null)
  } catch {
    const message = `the file holds no public key for ${algorithm} as PEM`
    report({ path: ['verify', 'keyFile'], rule: 'bundle-key', message })
    return null
  }
}

const createRemote = (
  name: string,
  settings: WasmConfig,
  options: WasmOptions,
  preparation: Preparation,
): Engine => {
  const { bundle: url, poll, timeout, token } = settings
  const { log } = preparation
  let policy: WasmPolicy | null = null
  const polled = pollBundle({ name, url, pollMs: poll, timeoutMs: timeout, token, log }, (content) => {
    const loaded = loadWasmPolicy(content, options)
    if ('problem' in loaded) return loaded.problem
    policy = loaded
    log.info(
      { engine: name, policyVersion: loaded.version, revision: loaded.revision },
      'a bundle is at work',
    )
    return null
  })
  return {
    ...engineOf(name, settings, () => policy, polled.first),
    timeoutMs: timeout,
    status: polled.status,
    close: polled.close,
  }
}

/** @param first resolves when it is known whether there is a bundle; those who ask before then wait for it. */
const engineOf = (
  name: string,
  settings: WasmConfig,
  policy: () => WasmPolicy | null,
  first: Promise<void> | null = null,
): Engine => {
  const isEnvoy = settings.input === 'envoy'
  const answer = (requests: readonly AccessRequest[], http: HttpQuestion | undefined): EngineAnswers => {
    const current = policy()
    if (current === null) return unavailable(name, 'there is no bundle yet')
    if (isEnvoy && http === undefined) {
      return unavailable(name, 'input: envoy needs the request as it came, which this door has not')
    }
    const answers: EngineAnswer[] = []
    for (const request of requests) {
      const one = answerOf(current, isEnvoy && http !== undefined ? envoyInput(http, request) : request)
      if ('problem' in one) return unavailable(name, `the policy answers with ${one.problem}`)
      answers.push(one.answer)
    }
    return answers
  }
  return {
    name,
    type: 'opa-wasm',
    policyVersion: () => policy()?.version ?? 'none',
    configuration: configurationHash({ input: settings.input }),
    readsHttp: isEnvoy,
    evaluate: (requests, _signal, http) =>
      policy() === null && first !== null ? first.then(() => answer(requests, http)) : answer(requests, http),
  }
}

/** A policy that fails at its input is a deny: the caller can cause that. */
const answerOf = (policy: WasmPolicy, input: object): ReturnType<typeof readRegoResult> => {
  try {
    return readRegoResult(policy.evaluate(input))
  } catch (error) {
    return { answer: failedAnswer([error instanceof Error ? error.message : String(error)]) }
  }
}
