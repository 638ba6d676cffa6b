import './v8-wasm-calls.ts'
import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { JsonObject, JsonValue } from '../../../core/json.ts'
import { didYouMean } from '../../../core/nearest.ts'
import { isJsonObject } from './answer-context.ts'
import { type BundleVerification, signatureProblem } from './bundle-signature.ts'
import { type BundleFiles, readBundleFiles } from './bundle-tar.ts'

/** A compiled Rego policy with its data. */
export interface WasmPolicy {
  /** `sha256:` over the compiled policy, its data and the entrypoint. */
  readonly version: string
  /** As the bundle's manifest says; null when it does not. */
  readonly revision: string | null
  /** Undefined when the query is. @throws {Error} when the policy fails at the input. */
  readonly evaluate: (input: object) => JsonValue | undefined
}

export interface WasmOptions {
  readonly entrypoint: string
  /** Added to the bundle's data, at its top level. */
  readonly data: JsonObject | null
  readonly verification: BundleVerification | null
}

export type Loaded = WasmPolicy | { readonly problem: string }

const require = createRequire(import.meta.url)
// As a module for `import` it lacks what its types promise.
const { loadPolicySync } =
  require('@open-policy-agent/opa-wasm') as typeof import('@open-policy-agent/opa-wasm')

// What the package can do beside WebAssembly; it does not export the names.
const packageFile = require.resolve('@open-policy-agent/opa-wasm')
const hostBuiltins: ReadonlySet<string> = new Set(
  Object.keys(require(join(dirname(packageFile), 'builtins', 'index.js'))),
)

// Node has it; the types of the libraries that are configured have not.
declare const WebAssembly: { readonly Module: new (code: Uint8Array) => object }

const WASM_MAGIC = Buffer.from([0, 0x61, 0x73, 0x6d])

/** A bundle of `opa build -t wasm`, or its policy.wasm alone; a problem when it cannot be used. */
export const loadWasmPolicy = (content: Buffer, options: WasmOptions): Loaded => {
  const isModule = content.subarray(0, 4).equals(WASM_MAGIC)
  const files = isModule ? new Map([['/policy.wasm', content]]) : readBundleFiles(content)
  if ('problem' in files) return files
  if (options.verification !== null) {
    const problem = signatureProblem(files, options.verification)
    if (problem !== null) return { problem }
  }
  const code = files.get('/policy.wasm')
  if (code === undefined) return { problem: 'it holds no /policy.wasm: build it with opa build -t wasm' }
  const data = dataOf(files, options.data)
  if (typeof data === 'string') return { problem: data }
  try {
    return prepare(code, data, revisionOf(files), options.entrypoint)
  } catch (error) {
    return { problem: `its policy.wasm cannot be used: ${messageOf(error)}` }
  }
}

const prepare = (code: Buffer, data: JsonObject, revision: string | null, entrypoint: string): Loaded => {
  const wasm = new WebAssembly.Module(new Uint8Array(code))
  const instantiate = () => {
    const policy = loadPolicySync(wasm)
    policy.setData(data)
    return policy
  }
  let policy: ReturnType<typeof instantiate> | null = instantiate()
  const missing = requiredBuiltins(policy).filter((name) => !hostBuiltins.has(name))
  if (missing.length > 0) {
    return { problem: `it needs built-in functions that WebAssembly does not have: ${missing.join(', ')}` }
  }
  const names = Object.keys(policy.entrypoints)
  if (!names.includes(entrypoint)) {
    return {
      problem: `it has no entrypoint ${entrypoint}, but ${names.join(', ')}${didYouMean(entrypoint, new Set(names))}`,
    }
  }
  const hash = createHash('sha256')
    .update(code)
    .update('\0')
    .update(JSON.stringify(data))
    .update(`\0${entrypoint}`)
  return {
    version: `sha256:${hash.digest('hex')}`,
    revision,
    evaluate: (input) => {
      policy ??= instantiate()
      try {
        const results: readonly { readonly result?: JsonValue }[] = policy.evaluate(input, entrypoint)
        return results[0]?.result
      } catch (error) {
        // Its stack is left as it was when it failed: another one goes on.
        policy = null
        throw new Error(messageOf(error), { cause: error })
      }
    },
  }
}

/** Functions that the compiled policy expects of whoever runs it. */
const requiredBuiltins = (policy: ReturnType<typeof loadPolicySync>): readonly string[] => {
  const { wasmInstance, mem } = policy
  const { exports } = 'instance' in wasmInstance ? wasmInstance.instance : wasmInstance
  const { builtins, opa_json_dump: dump } = exports
  if (typeof builtins !== 'function' || typeof dump !== 'function') throw new Error('it is not by OPA')
  const address: number = dump(builtins())
  const bytes = Buffer.from(mem.buffer)
  const names: unknown = JSON.parse(bytes.subarray(address, bytes.indexOf(0, address)).toString('utf8'))
  return Object.keys(Object(names)).sort()
}

/** The package throws errors, texts, and objects with a message; its texts are bytes of UTF-8. */
export const messageOf = (thrown: unknown): string => {
  if (typeof thrown === 'string') {
    const bytes = Array.from(thrown, (character) => character.charCodeAt(0))
    return bytes.every((byte) => byte < 0x100 || byte >= 0xff80)
      ? Buffer.from(bytes.map((byte) => byte & 0xff)).toString('utf8')
      : thrown
  }
  const message: unknown =
    typeof thrown === 'object' && thrown !== null ? Reflect.get(thrown, 'message') : undefined
  return typeof message === 'string' ? message : String(thrown)
}

const revisionOf = (files: BundleFiles): string | null => {
  const manifest = parsed(files.get('/.manifest'))
  return isJsonObject(manifest) && typeof manifest.revision === 'string' ? manifest.revision : null
}

const parsed = (content: Buffer | undefined): JsonValue | undefined => {
  if (content === undefined) return undefined
  try {
    return JSON.parse(content.toString('utf8'))
  } catch {
    return undefined
  }
}

/** Every data.json at the place that its folder names; a text that says what is wrong. */
const dataOf = (files: BundleFiles, more: JsonObject | null): JsonObject | string => {
  let data: JsonObject = {}
  const paths = [...files.keys()].filter((path) => path.endsWith('/data.json')).sort()
  for (const path of paths) {
    const value = parsed(files.get(path))
    const folders = path.split('/').slice(1, -1)
    const nested = folders.reduceRight<JsonValue | undefined>(
      (inner, folder) => (inner === undefined ? undefined : { [folder]: inner }),
      value,
    )
    if (!isJsonObject(nested)) return `its ${path} is no JSON object`
    data = merged(data, nested)
  }
  for (const key of Object.keys(more ?? {})) {
    if (Object.hasOwn(data, key)) return `it has data of the name ${key}, as the configured data file has`
  }
  return { ...data, ...more }
}

const merged = (into: JsonObject, from: JsonObject): JsonObject => {
  const both: [string, JsonValue][] = Object.entries(from).map(([key, value]) => {
    const before = Object.hasOwn(into, key) ? into[key] : undefined
    return [key, isJsonObject(before) && isJsonObject(value) ? merged(before, value) : value]
  })
  return { ...into, ...Object.fromEntries(both) }
}
