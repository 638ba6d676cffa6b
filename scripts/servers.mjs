// The real servers that some tests talk to. A test that lacks its server skips itself and says which one.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/**
 * One entry a server: `{ command, aptPackage, usedBy }`, where `command` is looked for on the PATH and
 * `usedBy` names what is not tested without it.
 */
export const SERVERS = [
  { command: 'redis-server', aptPackage: 'redis-server', usedBy: 'shared grants and the revocation feed' },
  { command: 'nginx', aptPackage: 'nginx', usedBy: 'forward-auth behind nginx' },
  { command: 'caddy', aptPackage: 'caddy', usedBy: 'forward-auth behind Caddy' },
  { command: 'chromium', aptPackage: 'chromium', usedBy: 'signing in by a real browser' },
]

const isOnPath = (command) =>
  (process.env.PATH ?? '')
    .split(delimiter)
    .some((folder) => folder !== '' && existsSync(join(folder, command)))

const canInstall = () => process.getuid?.() === 0 && isOnPath('apt-get')

const aptGet = (...args) =>
  spawnSync('apt-get', ['-q', '-y', ...args], {
    stdio: 'inherit',
    timeout: 5 * 60_000,
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
  })

/** Installs what is missing with the distribution's package manager, where that is there and allowed. */
export const installMissing = (servers) => {
  const packages = servers.filter(({ command }) => !isOnPath(command)).map(({ aptPackage }) => aptPackage)
  if (packages.length === 0 || !canInstall()) return
  aptGet('update')
  aptGet('install', '--no-install-recommends', ...packages)
}

/** What to tell about servers that are not there: one line each. */
export const describeMissing = (servers) =>
  servers.map(
    ({ command, aptPackage, usedBy }) =>
      `${command} is not installed, so these tests are skipped: ${usedBy}. Install it with: apt-get install ${aptPackage}`,
  )

/** Installs the servers that are missing where that is possible, and says what could not be installed. */
export const fetchServers = () => {
  installMissing(SERVERS)
  const missing = SERVERS.filter(({ command }) => !isOnPath(command))
  for (const line of describeMissing(missing)) console.log(line)
}
