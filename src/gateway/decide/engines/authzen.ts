import { z } from 'zod'
import type { AccessRequest } from '../../../core/access-request.ts'
import type { Clock } from '../../../core/clock.ts'
import type { Log } from '../../../core/log.ts'
import type { Settings } from '../../../core/settings.ts'
import { randomUuidV7 } from '../../../core/uuid.ts'
import { batchesOf } from './authzen-batches.ts'
import { evaluationBody, evaluationsBody, readEvaluation, readEvaluations } from './authzen-messages.ts'
import { defaultEndpoints, type Endpoints, metadataPath, readMetadata } from './authzen-metadata.ts'
import { defineEngine, type Engine, type EngineAnswer } from './engine.ts'
import { remoteFields } from './remote-config.ts'
import {
  allExchanged,
  configurationHash,
  createRemoteEngine,
  type Exchanged,
  type RemoteEngine,
} from './remote-engine.ts'
import { prepareRemote } from './remote-prepare.ts'
import { startProbe } from './remote-probe.ts'

const config = (s: Settings) =>
  z
    .strictObject({
      type: z.literal('authzen'),
      ...remoteFields(s),
      discovery: z
        .boolean()
        .default(true)
        .describe(
          'Takes the endpoints from the metadata of the engine where they are about this very `url`; default true. Otherwise, and without metadata, they are /access/v1/evaluation and /access/v1/evaluations below `url`.',
        ),
      poll: s
        .duration({ minMs: 100, maxMs: 3_600_000 })
        .prefault('10s')
        .describe(
          'How often the metadata is asked for, which also tells whether the engine is there, default 10s.',
        ),
    })
    .describe('Any engine that speaks AuthZEN 1.0, such as Cerbos.')

type AuthzenConfig = z.infer<ReturnType<typeof config>>

/**
 * An engine that speaks OpenID AuthZEN.
 *
 * @see https://openid.net/specs/authorization-api-1_0.html
 */
export const authzen = defineEngine({
  type: 'authzen',
  config,
  prepare: (name, settings: AuthzenConfig, preparation) => {
    const tls = prepareRemote(settings, preparation)
    return () =>
      createAuthzen(name, settings, createRemoteEngine(name, settings, tls, preparation), preparation)
  },
})

/** Answers that say that there is no such endpoint. */
const NOT_THERE: ReadonlySet<number> = new Set([404, 405, 501])

const createAuthzen = (
  name: string,
  settings: AuthzenConfig,
  remote: RemoteEngine,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): Engine => {
  const { url, timeout, discovery, poll } = settings
  const policyVersion = settings.policyVersion ?? 'unversioned'
  let endpoints: Endpoints = defaultEndpoints(url)
  let told = ''
  const tell = (problem: string): void => {
    if (told !== problem) log.warn({ engine: name, problem }, 'the metadata of an engine is not used')
    told = problem
  }

  const probe = startProbe(remote, { path: metadataPath(url), everyMs: poll }, ({ status, text }) => {
    if (status >= 500) return `answered ${status} when asked for its metadata`
    if (!discovery || status !== 200) return null
    const read = readMetadata(url, text)
    if ('problem' in read) tell(read.problem)
    else endpoints = read
    return null
  })
  let discovered = false
  void probe.first.then(() => {
    discovered = true
  })

  const post = (path: string, body: string, id: string, signal: AbortSignal) =>
    remote.http.send({ method: 'POST', path, body, headers: { 'x-request-id': id } }, signal)

  const askOne = async (
    request: AccessRequest,
    id: string,
    signal: AbortSignal,
  ): Promise<Exchanged<readonly EngineAnswer[]>> => {
    const reply = await post(endpoints.evaluation, evaluationBody(request), id, signal)
    return 'failure' in reply ? unanswered(reply) : readEvaluation(reply)
  }

  const askTogether = async (
    requests: readonly AccessRequest[],
    id: string,
    signal: AbortSignal,
  ): Promise<Exchanged<readonly EngineAnswer[]>> => {
    const { evaluations } = endpoints
    const one = async (): Promise<Exchanged<readonly EngineAnswer[]>> =>
      flat(allExchanged(await Promise.all(requests.map((request) => askOne(request, id, signal)))))
    if (requests.length === 1 || evaluations === null) return one()
    const reply = await post(evaluations, evaluationsBody(requests), id, signal)
    if ('failure' in reply) return unanswered(reply)
    if (!NOT_THERE.has(reply.status)) return readEvaluations(reply, requests.length)
    endpoints = { ...endpoints, evaluations: null }
    return one()
  }

  const askAll = async (
    requests: readonly AccessRequest[],
    signal: AbortSignal,
  ): Promise<Exchanged<readonly EngineAnswer[]>> => {
    const id = randomUuidV7(clock.nowMs())
    const batches = batchesOf(requests)
    const replies = await Promise.all(
      batches.map((positions) =>
        askTogether(
          positions.flatMap((at) => requests[at] ?? []),
          id,
          signal,
        ),
      ),
    )
    const together = flat(allExchanged(replies))
    if (!('value' in together)) return together
    const order = batches.flat()
    const answers = new Map(
      together.value.map((answer, index) => [order[index], { ...answer, engineDecisionId: id }]),
    )
    return { value: requests.flatMap((_, position) => answers.get(position) ?? []) }
  }

  return {
    name,
    type: 'authzen',
    policyVersion: () => policyVersion,
    configuration: configurationHash(settings),
    timeoutMs: timeout,
    status: remote.status,
    evaluate: async (requests, signal) => {
      const wait = signal()
      return remote.ask(async () => {
        if (!discovered) await probe.first
        return askAll(requests, wait)
      })
    },
    close: async () => {
      probe.stop()
      await remote.http.close()
    },
  }
}

const unanswered = ({ failure, gone }: { readonly failure: string; readonly gone: boolean }) =>
  ({ failure, fault: gone ? 'caller' : 'engine' }) as const

const flat = <T>(exchanged: Exchanged<readonly (readonly T[])[]>): Exchanged<readonly T[]> =>
  'value' in exchanged ? { value: exchanged.value.flat() } : exchanged
