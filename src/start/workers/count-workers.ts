import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { parse } from 'yaml'
import { workerCount } from '../../config/checks/workers.ts'

/**
 * How many workers a configuration asks for, without loading it.
 *
 * @returns 1 where that cannot be told: whoever loads it then reports what is wrong.
 */
export const countWorkers = (file: string): number => {
  try {
    const written: unknown = parse(readFileSync(resolve(file), 'utf8'))
    const workers: unknown =
      typeof written === 'object' && written !== null ? Reflect.get(written, 'workers') : 1
    if (workers === 'auto') return workerCount('auto')
    return typeof workers === 'number' && Number.isInteger(workers) && workers > 1 ? workers : 1
  } catch {
    return 1
  }
}
