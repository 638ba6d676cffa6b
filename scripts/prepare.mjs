// Makes a fresh clone ready to run: packages, then the build. Uses nothing but Node itself.
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = dirname(dirname(fileURLToPath(import.meta.url)))

const OLDEST_NODE = [20, 19]

/** Runs a program with this terminal, in the root of the repository; true when it exits 0. */
export const run = (command, args, options = {}) => {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options })
  if (result.error !== undefined) console.error(`${command}: ${result.error.message}`)
  return result.status === 0
}

const nodeIsNewEnough = () => {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  return major > OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor >= OLDEST_NODE[1])
}

/**
 * True when every package of `lock` is installed in the version that it names.
 *
 * Compares contents, not times: a copy or a checkout changes times without changing packages. Optional
 * packages are those of other platforms, so they may be absent.
 */
export const packagesAgree = (lock, installed, isThere) =>
  Object.entries(lock.packages).every(
    ([path, entry]) =>
      path === '' ||
      entry.optional === true ||
      (installed.packages[path]?.version === entry.version && isThere(path)),
  )

const packagesAreInstalled = () => {
  const installed = join(root, 'node_modules', '.package-lock.json')
  if (!existsSync(installed)) return false
  const read = (file) => JSON.parse(readFileSync(file, 'utf8'))
  return packagesAgree(read(join(root, 'package-lock.json')), read(installed), (path) =>
    existsSync(join(root, path)),
  )
}

const installPackages = () => {
  if (packagesAreInstalled()) return true
  const args = ['ci', '--include=dev', '--no-audit', '--no-fund']
  const npm = process.env.npm_execpath
  console.log('Installing packages (npm ci)')
  if (npm !== undefined && /\.c?js$/.test(npm)) return run(process.execPath, [npm, ...args])
  return run('npm', args, { shell: process.platform === 'win32' })
}

const filesUnder = (folder) =>
  existsSync(join(root, folder))
    ? readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    : []

// The compiler neither deletes the output of a source that is gone nor notices an output that is.
const tidyOutput = () => {
  const compiled = ['src', 'test', 'bench']
  const expected = new Set(
    compiled
      .flatMap(filesUnder)
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.d.ts'))
      .map((file) => join(root, 'dist', file.slice(root.length + 1).replace(/\.ts$/, '.js'))),
  )
  for (const file of compiled.flatMap((folder) => filesUnder(join('dist', folder)))) {
    if (!expected.has(file.replace(/\.map$/, ''))) rmSync(file, { force: true })
  }
  if (![...expected].every((file) => existsSync(file)))
    rmSync(join(root, 'dist', '.tsbuildinfo'), { force: true })
}

/** Compiles src, test and bench into dist; true when there is no type error. Quick when nothing changed. */
export const build = () => {
  tidyOutput()
  return run(process.execPath, [join('node_modules', 'typescript', 'bin', 'tsc'), '-p', '.'])
}

/** Installs the packages when they are not those of the lock file; true when they are. */
export const install = () => {
  if (!nodeIsNewEnough()) {
    console.error(`Sallyport needs Node ${OLDEST_NODE.join('.')} or newer; this is ${process.versions.node}.`)
    return false
  }
  return installPackages()
}

// config/sallyport.yaml wants a token for the admin port, and a secret is nothing to be committed.
const makeAdminToken = () => {
  const file = join(root, 'config', 'secrets', 'admin-token')
  if (existsSync(file)) return
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600 })
}

/** Packages, build and an admin token; true when all are there. */
export const prepare = () => {
  if (!install() || !build()) return false
  makeAdminToken()
  return true
}
