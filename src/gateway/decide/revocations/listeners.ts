import type { Log } from '../../../core/log.ts'

/** Those who are told of something; one that throws is logged, and holds up nobody. */
export interface Listeners<T> {
  readonly add: (listener: (value: T) => void) => () => void
  readonly tell: (value: T) => void
}

export const createListeners = <T>(log: Log): Listeners<T> => {
  const listeners = new Set<{ readonly call: (value: T) => void }>()
  return {
    add: (call) => {
      const entry = { call }
      listeners.add(entry)
      return () => listeners.delete(entry)
    },
    tell: (value) => {
      for (const { call } of [...listeners]) {
        try {
          call(value)
        } catch (bug) {
          log.error({ stack: bug instanceof Error ? bug.stack : String(bug) }, 'a listener of marks failed')
        }
      }
    },
  }
}
