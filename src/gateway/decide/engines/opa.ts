import { z } from 'zod'
import type { AccessRequest } from '../../../core/access-request.ts'
import type { Settings } from '../../../core/settings.ts'
import { defineEngine, type Engine, type EngineAnswer, type HttpQuestion } from './engine.ts'
import { envoyInput } from './opa-envoy-input.ts'
import { readRegoReply, revisionOf } from './opa-reply.ts'
import { remoteFields } from './remote-config.ts'
import {
  allExchanged,
  configurationHash,
  createRemoteEngine,
  type Exchanged,
  type RemoteEngine,
  unavailable,
} from './remote-engine.ts'
import { prepareRemote } from './remote-prepare.ts'
import { startProbe } from './remote-probe.ts'

const config = (s: Settings) =>
  z
    .strictObject({
      type: z.literal('opa'),
      ...remoteFields(s),
      path: z
        .string()
        .regex(/^[A-Za-z0-9_-]+(\/[A-Za-z0-9_-]+)*$/, {
          error: 'expected the path of a rule or package, such as gateway/authz',
        })
        .describe('Path of the rule or package below /v1/data that decides, such as gateway/authz.'),
      input: z
        .enum(['authzen', 'envoy'])
        .default('authzen')
        .describe(
          "What Rego finds as `input`: the access request as AuthZEN writes it, or the request as OPA-Envoy shows it, with the caller's headers and credentials; default authzen.",
        ),
      poll: s
        .duration({ minMs: 100, maxMs: 3_600_000 })
        .prefault('2s')
        .describe(
          'How often the revision of the bundles is asked for, default 2s; another one voids the grants of before.',
        ),
    })
    .describe('Open Policy Agent, over its REST API.')

type OpaConfig = z.infer<ReturnType<typeof config>>

/** Open Policy Agent as a server. Nothing is sent before the first question, but for the poll of its revision. */
export const opa = defineEngine({
  type: 'opa',
  config,
  prepare: (name, settings: OpaConfig, preparation) => {
    const tls = prepareRemote(settings, preparation)
    return () => createOpa(name, settings, createRemoteEngine(name, settings, tls, preparation))
  },
})

// In every OPA, and no policy of anybody's.
const PROBE = 'v1/data/system/version?provenance=true'

const createOpa = (name: string, settings: OpaConfig, remote: RemoteEngine): Engine => {
  const { path, input, poll, timeout } = settings
  const base = new URL(settings.url).pathname.replace(/\/?$/, '/')
  const query = `${base}v1/data/${path}?provenance=true&strict-builtin-errors=true`
  let policyVersion = settings.policyVersion ?? 'unversioned'
  const see = (revision: string | null): string => {
    if (revision !== null) policyVersion = revision
    return policyVersion
  }

  const probe = startProbe(remote, { path: `${base}${PROBE}`, everyMs: poll }, ({ status, text }) => {
    if (status !== 200) return `answered ${status} when asked for its revision`
    see(revisionOf(text))
    return null
  })

  const askOne = async (asked: object, signal: AbortSignal): Promise<Exchanged<EngineAnswer>> => {
    const body = JSON.stringify({ input: asked })
    const reply = await remote.http.send({ method: 'POST', path: query, body }, signal)
    if ('failure' in reply) return { failure: reply.failure, fault: reply.gone ? 'caller' : 'engine' }
    const read = readRegoReply(reply)
    if (!('value' in read)) return read
    const { answer, revision } = read.value
    return { value: { ...answer, policyVersion: see(revision) } }
  }

  return {
    name,
    type: 'opa',
    policyVersion: () => policyVersion,
    configuration: configurationHash(settings),
    readsHttp: input === 'envoy',
    timeoutMs: timeout,
    status: remote.status,
    evaluate: async (requests, signal, http) => {
      const asked = input === 'envoy' ? envoyQuestions(requests, http) : requests
      if (asked === null)
        return unavailable(name, 'input: envoy needs the request as it came, which this door has not')
      const wait = signal()
      return remote.ask(async () => allExchanged(await Promise.all(asked.map((one) => askOne(one, wait)))))
    },
    close: async () => {
      probe.stop()
      await remote.http.close()
    },
  }
}

const envoyQuestions = (
  requests: readonly AccessRequest[],
  http: HttpQuestion | undefined,
): readonly object[] | null =>
  http === undefined ? null : requests.map((request) => envoyInput(http, request))
