import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { parseSource, readSources, type SourceFile } from './house/source-files.ts'
import { RULES } from './house/structure.ts'

const source = (path: string, ...lines: readonly string[]): SourceFile =>
  parseSource(path, `${lines.join('\n')}\n`)

/** Files that break exactly one rule each, by the rule's name. */
const PLANTED: Readonly<Record<string, readonly SourceFile[]>> = {
  'an import points down or stays in its folder': [
    source('src/core/clock.ts', "import type { Finding } from '../config/finding.ts'"),
    source('src/gateway/pipeline.ts', "import { load } from '../config/load.ts'"),
    source('src/config/load.ts', "import { start } from '../start.ts'"),
    source('src/admin/server.ts', "await import('../cli/main.ts')"),
    source('src/start.ts', 'import {', '  startBank,', "} from './demo/bank.ts'"),
    source('src/start/ports.ts', "import { main } from '../cli/main.ts'"),
    source('src/admin/port.ts', "import { createPorts } from '../start/ports.ts'"),
    source('src/demo/bank.ts', "import { forward } from '../gateway/enforce/forward.ts'"),
    source('src/demo/mint.ts', "import { EXIT } from '../cli/io.ts'"),
    source('src/gateway/accept/path.ts', "import '../../../scripts/prepare.mjs'"),
  ],
  'a stage imports no other stage': [
    source('src/gateway/bind/bind.ts', "import type { Table } from '../accept/table.ts'"),
    source('src/gateway/decide/engines/cedar.ts', "import { sink } from '../../record/sinks/file.ts'"),
  ],
  'a stage takes nothing but types from the files that join the stages': [
    source('src/gateway/accept/accept.ts', "import { createPipeline } from '../pipeline.ts'"),
  ],
  'inside gateway, stages meet in pipeline.ts alone': [
    source('src/gateway/second.ts', "import { decide } from './decide/decide.ts'"),
  ],
  'core imports nothing at run time but Node itself': [
    source('src/core/shape.ts', "import { z } from 'zod'"),
  ],
  'no import leads back to its file': [
    source('src/core/a.ts', "import type { B } from './b.ts'"),
    source('src/core/b.ts', "import type { C } from './c.ts'"),
    source('src/core/c.ts', "import type { A } from './a.ts'"),
  ],
  'no file exists to pass on the exports of others': [
    source('src/core/index.ts', 'export const one = 1'),
    source(
      'src/core/all.ts',
      '// all of them',
      "export * from './clock.ts'",
      "export { a, b } from './json.ts'",
    ),
  ],
  'only cli/main.ts ends the process': [source('src/cli/serve.ts', 'process.exit(1)')],
  'http-proxy never proxies a plain request (CVE-2026-29057 is in its web())': [
    source(
      'src/gateway/enforce/upgrade.ts',
      "import proxy from 'http-proxy'",
      'proxy.createProxyServer().web(a, b)',
    ),
  ],
  'a source file has at most 400 lines': [
    source(
      'src/core/long.ts',
      ...Array.from({ length: 401 }, (_, index) => `export const a${index} = ${index}`),
    ),
  ],
  'exports have names': [
    source('src/core/clock.ts', 'export default 1'),
    source('test/clock.test.ts', 'const a = 1', 'export { a as default }'),
  ],
  'nothing is left to be done later by a comment': [source('src/core/clock.ts', `// ${'TO'}${'DO'} later`)],
}

const ALLOWED: readonly SourceFile[] = [
  source('src/core/uuid.ts', "import { randomFillSync } from 'node:crypto'", "import type { z } from 'zod'"),
  source(
    'src/gateway/bind/bind.ts',
    "import type { Stages } from '../pipeline.ts'",
    "import { a } from './plan.ts'",
  ),
  source('src/gateway/decide/decide.ts', "import { cedar } from './engines/cedar.ts'"),
  source('src/gateway/pipeline.ts', "import { accept } from './accept/accept.ts'"),
  source('src/cli/main.ts', "import { startBank } from '../demo/bank.ts'", 'process.exit(0)'),
  source('src/start/ports.ts', "import { load } from '../config/load.ts'"),
  source('src/start.ts', "import { load } from './config/load.ts'", "import { a } from './start/ports.ts'"),
  source('src/start/a.ts', '// import { a } from "./cli/main.ts"'),
  source('src/gateway/enforce/forward.ts', "const text = 'see // process.exit('", 'web(text)'),
]

describe('the structure of the code', () => {
  const files = [...readSources('src'), ...readSources('test')]

  test('the sources are found', () => {
    assert.ok(files.some(({ path }) => path === 'src/core/refusals.ts'))
    assert.ok(files.some(({ path, imports }) => path === 'src/gateway/pipeline.ts' && imports.length > 3))
  })

  for (const { name, find } of RULES) {
    test(name, () => assert.deepEqual(find(files), []))
  }
})

describe('the rules of the structure', () => {
  for (const { name, find } of RULES) {
    test(`can fail: ${name}`, () => {
      const planted = PLANTED[name] ?? []
      const found = find(planted)
      assert.ok(planted.length > 0, 'there is no planted violation')
      assert.deepEqual(
        planted.filter(({ path }) => !found.some((line) => line.includes(path))).map(({ path }) => path),
        [],
      )
    })

    test(`allows what is right: ${name}`, () => assert.deepEqual(find(ALLOWED), []))
  }
})
