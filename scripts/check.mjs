// npm run check: types, format and lint, structure. Everything is run even when something before it failed.
import { join } from 'node:path'
import { build, install, root, run } from './prepare.mjs'

// biome writes colours into files, too, unless it is told not to.
const colours = process.stdout.isTTY ? [] : ['--colors=off']

const steps = [
  ['types (tsc)', build],
  [
    'format and lint (biome)',
    () =>
      run(process.execPath, [join('node_modules', '@biomejs', 'biome', 'bin', 'biome'), 'ci', ...colours]),
  ],
  [
    'structure (test/architecture.test.ts)',
    // The variable is set when a test runs this check, and would keep Node from running any test here.
    () =>
      run(
        process.execPath,
        ['--test', '--test-reporter=spec', join(root, 'dist', 'test', 'architecture.test.js')],
        {
          env: { ...process.env, NODE_TEST_CONTEXT: undefined },
        },
      ),
  ],
]

const runSteps = () => {
  const failed = []
  for (const [name, step] of steps) {
    console.log(`\n== ${name}`)
    if (!step()) failed.push(name)
  }
  console.log(failed.length === 0 ? '\ncheck: all is well' : `\ncheck: failed: ${failed.join('; ')}`)
  return failed.length === 0
}

process.exitCode = install() && runSteps() ? 0 : 1
