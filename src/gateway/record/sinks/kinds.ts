import { file } from './file.ts'
import { http } from './http.ts'
import { stdout } from './stdout.ts'

/** Every kind of sink: a new one is a file beside this one, an import, and an entry here. */
export const SINK_KINDS = [file, stdout, http] as const
