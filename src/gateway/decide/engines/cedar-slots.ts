import {
  type PolicySet,
  preparsePolicySet,
  preparseSchema,
  type Schema,
} from '@cedar-policy/cedar-wasm/nodejs'

/** A policy set that is parsed once instead of at each decision. */
export interface PreparedPolicies {
  /** The name under which Cedar has them now; also that of the schema. Good until the next call of any `slot`. */
  readonly slot: () => string
  /** Lets others have the place first. `slot` still works afterwards, by parsing again. */
  readonly release: () => void
}

interface Slot {
  readonly name: string
  holder: PreparedPolicies | null
  lastUse: number
}

// Cedar keeps what it parsed by name, in its own memory, and never lets go of a name: about 1.4 MB each. So
// every engine has two names that are used again and again: one for what serves, one for what is to replace it.
// Module state, because it mirrors memory that the whole process shares.
const slotsByEngine = new Map<string, readonly Slot[]>()
let uses = 0

/**
 * Parses the policies, and keeps them parsed as long as a slot can be had.
 *
 * A third engine of one name takes the slot that was used least recently; whoever held that one notices,
 * and parses again when it is next asked. So an answer is never given by the policies of another engine.
 *
 * @throws when Cedar does not take what it has checked before.
 */
export const preparePolicies = (
  engine: string,
  policies: PolicySet,
  schema: Schema | null,
): PreparedPolicies => {
  const slots = slotsByEngine.get(engine) ?? newSlots(engine)
  slotsByEngine.set(engine, slots)
  let mine: Slot | null = null

  const take = (): Slot => {
    const slot = slots.reduce((best, other) => (isBetter(other, best) ? other : best))
    slot.holder = null
    const answers = [
      preparsePolicySet(slot.name, policies),
      schema === null ? null : preparseSchema(slot.name, schema),
    ]
    if (answers.some((answer) => answer?.type === 'failure')) {
      throw new Error(`Cedar does not take the policies of the engine ${engine} that it has checked`)
    }
    slot.holder = prepared
    return slot
  }

  const prepared: PreparedPolicies = {
    slot: () => {
      if (mine === null || mine.holder !== prepared) mine = take()
      uses += 1
      mine.lastUse = uses
      return mine.name
    },
    release: () => {
      if (mine?.holder === prepared) mine.holder = null
    },
  }
  prepared.slot()
  return prepared
}

const newSlots = (engine: string): readonly Slot[] =>
  ['a', 'b'].map((letter) => ({ name: `${engine}/${letter}`, holder: null, lastUse: 0 }))

const isBetter = (slot: Slot, than: Slot): boolean => {
  if ((slot.holder === null) !== (than.holder === null)) return slot.holder === null
  return slot.lastUse < than.lastUse
}
