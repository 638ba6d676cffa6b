import { inspect } from 'node:util'

/** A value that cannot be printed by accident: JSON, string conversion and inspection all hide it. */
export interface Secret {
  readonly reveal: () => string
}

const HIDDEN = '[secret]'

export const secret = (value: string): Secret =>
  Object.freeze({
    reveal: () => value,
    toJSON: () => HIDDEN,
    toString: () => HIDDEN,
    [inspect.custom]: () => HIDDEN,
  })
