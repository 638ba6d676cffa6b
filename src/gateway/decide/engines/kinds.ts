import { authzen } from './authzen.ts'
import { cedar } from './cedar.ts'
import { opa } from './opa.ts'
import { opaWasm } from './opa-wasm.ts'

/** Every kind of engine; a new one is one new file and two lines here. */
export const ENGINE_KINDS = [cedar, opa, opaWasm, authzen] as const
