import type { RemoteEngine } from './remote-engine.ts'
import type { RemoteAnswer } from './remote-http.ts'

/** Asks an engine something small now and then, so that it is known whether it is there. */
export interface Probe {
  /** Resolves when the first answer is there, or the first failure. */
  readonly first: Promise<void>
  readonly stop: () => void
}

/** @param seen gets each answer, and says what is wrong with it; null: nothing. */
export const startProbe = (
  { http, noted }: Pick<RemoteEngine, 'http' | 'noted'>,
  options: { readonly path: string; readonly everyMs: number },
  seen: (answer: RemoteAnswer) => string | null,
): Probe => {
  const stopping = new AbortController()
  let asking = false
  const ask = async (): Promise<void> => {
    if (asking) return
    asking = true
    const answer = await http.send({ method: 'GET', path: options.path }, stopping.signal)
    asking = false
    if (!('failure' in answer)) noted(seen(answer))
    else if (!answer.gone) noted(answer.failure)
  }
  const timer = setInterval(() => void ask(), options.everyMs).unref()
  return {
    first: ask(),
    stop: () => {
      clearInterval(timer)
      stopping.abort()
    },
  }
}
