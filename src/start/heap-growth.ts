import { constants, type PerformanceEntry, PerformanceObserver } from 'node:perf_hooks'
import { getHeapStatistics, setFlagsFromString } from 'node:v8'

/** A minute's worth of what is kept for seconds, beside thousands of connections that are cut and come back. */
const GROWTH_BYTES = 80 * 1024 * 1024

/**
 * Lets the heap grow by about so many bytes before V8 collects its old generation; default 80 MiB.
 *
 * V8 has it grow by a share of what is alive: little where little is alive, so that a small heap is collected often, and
 * more than there is room for where much is. The share is set after each collection, and so goes by what was alive at
 * the one before: a heap of which much more is alive all at once grows by more, once.
 */
export const growHeapBy = (bytes: number = GROWTH_BYTES): void => {
  setGrowth(bytes)
  new PerformanceObserver((list) => {
    if (list.getEntries().some(isMajor)) setGrowth(bytes)
  }).observe({ entryTypes: ['gc'] })
}

const isMajor = (entry: PerformanceEntry): boolean => {
  const detail: unknown = Reflect.get(entry, 'detail')
  return (
    typeof detail === 'object' &&
    detail !== null &&
    Reflect.get(detail, 'kind') === constants.NODE_PERFORMANCE_GC_MAJOR
  )
}

const setGrowth = (bytes: number): void => {
  const { used_heap_size: usedBytes } = getHeapStatistics()
  setFlagsFromString(`--heap-growing-percent=${Math.max(1, Math.round((100 * bytes) / usedBytes))}`)
}
