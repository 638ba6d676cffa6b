import './v8-wasm-calls.ts'
import {
  type PolicySet,
  preparsePolicySet,
  preparseSchema,
  type Schema,
} from '@cedar-policy/cedar-wasm/nodejs'

/** Something that Cedar parses once instead of at each decision. */
export interface Prepared {
  /** The name under which Cedar has it now. Good until the next call of any `slot` of the same kind. */
  readonly slot: () => string
  /** Lets others have the place first. `slot` still works afterwards, by parsing again. */
  readonly release: () => void
}

interface Slot {
  readonly name: string
  holder: Prepared | null
  weight: number
  lastUse: number
}

interface Pool {
  readonly slots: Slot[]
  weight: number
}

interface PoolLimits {
  readonly slots: number
  /** Of all that is held; what was used least recently makes room. */
  readonly weight: number
}

// Cedar keeps what it parsed by name, in its own memory, and never lets go of a name: about 8 kB for a few policies,
// 1.4 MB for some hundred (measured). So every engine has names that are used again and again.
// Module state, because it mirrors memory that the whole process shares.
const pools = new Map<string, Pool>()
let uses = 0

const SCHEMA_LIMITS: PoolLimits = { slots: 2, weight: Number.POSITIVE_INFINITY }
/** Policies, in all of an engine's slots together. */
const POLICY_LIMITS: PoolLimits = { slots: 1024, weight: 50_000 }

/**
 * Parses policies, and keeps them parsed as long as a slot can be had.
 *
 * Another who takes the slot, which is the one that was used least recently, is noticed: then they are parsed again
 * when they are next asked. So an answer is never given by the policies of another engine.
 *
 * @throws when Cedar does not take what it has checked before.
 */
export const preparePolicies = (engine: string, policies: PolicySet, count: number): Prepared => {
  const parse = (name: string): boolean => preparsePolicySet(name, policies).type === 'success'
  return holdSlot(`${engine}/policies`, POLICY_LIMITS, count, parse, (name) => preparsePolicySet(name, {}))
}

/** The same for a schema. */
export const prepareSchema = (engine: string, schema: Schema): Prepared => {
  const parse = (name: string): boolean => preparseSchema(name, schema).type === 'success'
  return holdSlot(`${engine}/schema`, SCHEMA_LIMITS, 1, parse, () => undefined)
}

const holdSlot = (
  poolName: string,
  limits: PoolLimits,
  weight: number,
  parse: (name: string) => boolean,
  empty: (name: string) => void,
): Prepared => {
  const pool = pools.get(poolName) ?? { slots: [], weight: 0 }
  pools.set(poolName, pool)
  let mine: Slot | null = null

  const vacate = (slot: Slot): void => {
    slot.holder = null
    pool.weight -= slot.weight
    slot.weight = 0
  }

  const makeRoom = (): void => {
    while (pool.weight > 0 && pool.weight + weight > limits.weight) {
      const oldest = leastRecent(pool.slots.filter(({ weight: held }) => held > 0))
      if (oldest === null) return
      vacate(oldest)
      empty(oldest.name)
    }
  }

  const take = (): Slot => {
    makeRoom()
    const slot = freeSlot(pool, poolName, limits)
    vacate(slot)
    if (!parse(slot.name)) throw new Error(`Cedar does not take what it has checked of ${poolName}`)
    slot.holder = prepared
    slot.weight = weight
    pool.weight += weight
    return slot
  }

  const prepared: Prepared = {
    slot: () => {
      if (mine === null || mine.holder !== prepared) mine = take()
      uses += 1
      mine.lastUse = uses
      return mine.name
    },
    release: () => {
      if (mine?.holder === prepared) vacate(mine)
    },
  }
  return prepared
}

const leastRecent = (slots: readonly Slot[]): Slot | null =>
  slots.reduce<Slot | null>(
    (best, slot) => (best === null || slot.lastUse < best.lastUse ? slot : best),
    null,
  )

const freeSlot = (pool: Pool, poolName: string, { slots: most }: PoolLimits): Slot => {
  const free = pool.slots.find(({ holder }) => holder === null)
  if (free !== undefined) return free
  const oldest = pool.slots.length < most ? null : leastRecent(pool.slots)
  if (oldest !== null) return oldest
  const slot: Slot = { name: `${poolName}/${pool.slots.length}`, holder: null, weight: 0, lastUse: 0 }
  pool.slots.push(slot)
  return slot
}
