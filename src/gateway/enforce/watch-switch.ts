import type { Socket } from 'node:net'

const HEAD_END = '\r\n\r\n'
const STATUS = /^HTTP\/1\.[01] ([0-9]{3})/
const MAX_KEPT = 256 * 1024

/**
 * Tells when an application says that it switches protocols, and its head does not say to which.
 *
 * Node's client drops such an answer without a word and waits for another one, for as long as it may.
 *
 * @param socket on which Node's client listens already, so that it has read each chunk before this.
 * @returns stops watching; to be called when the client tells of a switch.
 */
export const watchSwitch = (socket: Socket, onBadSwitch: () => void): (() => void) => {
  let kept = ''
  let stopped = false
  const stop = (): void => {
    stopped = true
    socket.off('data', look)
  }
  const look = (chunk: Buffer): void => {
    // A listener that is taken off by one before it is called all the same.
    if (stopped) return
    kept += chunk.toString('latin1')
    for (let end = kept.indexOf(HEAD_END); end !== -1; end = kept.indexOf(HEAD_END)) {
      const status = STATUS.exec(kept)?.[1]
      if (status === '101') {
        stop()
        return onBadSwitch()
      }
      // Only what is not the answer itself has another head behind it.
      if (status === undefined || !status.startsWith('1')) return stop()
      kept = kept.slice(end + HEAD_END.length)
    }
    if (kept.length > MAX_KEPT) stop()
  }
  socket.on('data', look)
  return stop
}
