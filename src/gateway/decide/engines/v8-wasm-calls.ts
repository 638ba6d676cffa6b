import { setFlagsFromString } from 'node:v8'

// V8 11, which Node 20 has, puts calls of WebAssembly into the JavaScript around them. When it then has to give such
// code up while the call is under way, it ends the process: "unreachable code", from
// Deoptimizer::DoComputeBuiltinContinuation (seen with Cedar, in one of three runs of a test). Calls cost a little more
// without. It counts for what is compiled from now on, and nothing is compiled that early.
if (process.versions.v8.startsWith('11.')) setFlagsFromString('--no-turbo-inline-js-wasm-calls')
