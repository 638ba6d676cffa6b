/** Whether a caller is still there to be answered. */
export interface Departure {
  /** Calls back once when the caller goes, at once when it has gone; the result takes the listener off again. */
  readonly onGone: (listener: () => void) => () => unknown
  /** The same as a signal. Made on first use: it costs more than all else that is made for most requests. */
  readonly signal: () => AbortSignal
}

/** @returns the caller's presence, and what says that it has gone; a second call does nothing. */
export const createDeparture = (): Departure & { readonly gone: () => void } => {
  let isGone = false
  let controller: AbortController | null = null
  // Rarely more than two; those that are taken off leave null.
  const listeners: ((() => void) | null)[] = []
  return {
    onGone: (listener) => {
      if (isGone) {
        listener()
        return () => undefined
      }
      const at = listeners.push(listener) - 1
      return () => {
        listeners[at] = null
      }
    },
    signal: () => {
      controller ??= new AbortController()
      if (isGone && !controller.signal.aborted) controller.abort()
      return controller.signal
    },
    gone: () => {
      if (isGone) return
      isGone = true
      controller?.abort()
      for (const listener of listeners) listener?.()
    },
  }
}
