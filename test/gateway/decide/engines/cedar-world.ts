import assert from 'node:assert/strict'
import { z } from 'zod'
import type { AccessRequest } from '../../../../src/core/access-request.ts'
import { systemClock } from '../../../../src/core/clock.ts'
import type { Finding, Problem } from '../../../../src/core/problem.ts'
import { isRefusal } from '../../../../src/core/refusals.ts'
import { secret } from '../../../../src/core/secret.ts'
import type { Preparation, Settings } from '../../../../src/core/settings.ts'
import { cedar } from '../../../../src/gateway/decide/engines/cedar.ts'
import type { Engine, EngineAnswer } from '../../../../src/gateway/decide/engines/engine.ts'

/** Files by absolute path. */
export type Files = Readonly<Record<string, string | Buffer>>

export const settings: Settings = {
  path: () => z.string(),
  glob: () => z.string(),
  duration: () =>
    z.string().transform((text) => Number.parseInt(text, 10) * (text.endsWith('ms') ? 1 : 1000)),
  secret: () => z.any().transform(() => secret('')),
  url: () => z.string(),
}

export interface Prepared {
  readonly findings: readonly Finding[]
  readonly problems: readonly Problem[]
  readonly create: () => Engine
}

const toPattern = (glob: string): RegExp =>
  new RegExp(`^${glob.replace(/[.]/g, '\\.').replace(/\*+/g, (stars) => (stars === '*' ? '[^/]*' : '.*'))}$`)

interface CedarConfig {
  readonly policies?: readonly string[]
  readonly links?: readonly string[]
  readonly schema?: string
  readonly entities?: string
}

/** Prepares a Cedar engine from files in memory, collecting what is reported. */
export const prepareCedar = (...given: Parameters<typeof prepareAnyCedar>): Prepared => {
  const { create, ...reported } = prepareAnyCedar(...given)
  assert.ok(!(create instanceof Promise), 'prepared later')
  return { ...reported, create }
}

/** The same, also of so many policies that this takes long. */
export const prepareManyCedar = async (...given: Parameters<typeof prepareAnyCedar>): Promise<Prepared> => {
  const { create, ...reported } = prepareAnyCedar(...given)
  return { ...reported, create: await create }
}

const prepareAnyCedar = (files: Files, config: CedarConfig = {}, name = 'bank') => {
  const findings: Finding[] = []
  const problems: Problem[] = []
  const contents = new Map(Object.entries(files).map(([path, content]) => [path, Buffer.from(content)]))
  const silent = (): void => {}
  const preparation: Preparation = {
    clock: systemClock,
    log: { debug: silent, info: silent, warn: silent, error: silent },
    readFile: (path, at) => {
      const content = contents.get(path) ?? null
      if (content === null) problems.push({ path: at, message: `no ${path}` })
      return content
    },
    readGlob: (glob, at) => {
      const found = [...contents].filter(([path]) => toPattern(glob).test(path))
      if (found.length === 0) problems.push({ path: at, message: `nothing matches ${glob}` })
      return found.map(([path, content]) => ({ path, content }))
    },
    readYaml: () => assert.fail('not used'),
    compileClaims: () => assert.fail('not used'),
    share: () => assert.fail('not used'),
    report: (problem) => problems.push(problem),
    reportFinding: (finding) => findings.push(finding),
  }
  const parsed = cedar.config(settings).parse({ type: 'cedar', policies: ['/p/*.cedar'], ...config })
  return { findings, problems, create: cedar.prepare(name, parsed, preparation) }
}

/** An engine of files in which nothing is wrong. */
export const createCedar = (...[files, config, name]: Parameters<typeof prepareCedar>): Engine => {
  const { findings, problems, create } = prepareCedar(files, config, name)
  assert.deepEqual([...findings, ...problems], [])
  return create()
}

const never = (): AbortSignal => assert.fail('an engine in this process needs no signal')

/** The answer to one question; a refusal or a promise fails the test. */
export const askOne = (engine: Engine, request: AccessRequest): EngineAnswer => {
  const answers = engine.evaluate([request], never)
  assert.ok(!(answers instanceof Promise), 'answered later')
  assert.ok(!isRefusal(answers), 'refused')
  const [answer, ...more] = answers
  assert.ok(answer !== undefined && more.length === 0)
  return answer
}

/** `alice` reads account 42, but for what is changed. */
export const question = (changed: Partial<AccessRequest> = {}): AccessRequest => ({
  subject: { type: 'User', id: 'alice' },
  action: { name: 'read' },
  resource: { type: 'Account', id: '42' },
  context: {},
  ...changed,
})
