import { cedar } from './cedar.ts'

/** Every kind of engine; a new one is one new file and two lines here. */
export const ENGINE_KINDS = [cedar] as const
