import { availableParallelism } from 'node:os'
import type { GatewayFile } from '../read-gateway.ts'

/** How many processes `workers` means on this machine. */
export const workerCount = (workers: number | 'auto'): number =>
  workers === 'auto' ? Math.max(1, availableParallelism()) : workers

/**
 * Reports several workers without a key that they share: an application would see assertions of as many keys.
 *
 * Also for `auto` on a machine with one core, so that a configuration that was checked there is right elsewhere.
 */
export const checkWorkers = ({ source, workers, assertion }: GatewayFile): void => {
  if (workers === null || workers === 1 || assertion === null || assertion.keyFile !== undefined) return
  const message = `found workers: ${workers} without assertion.keyFile, expected a key that all of them sign with`
  source.report({ path: ['workers'], rule: 'workers-need-key', message })
}
