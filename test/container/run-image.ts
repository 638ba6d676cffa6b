import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** What the base image is known by: its Node. */
export const IMAGE_NODE = '/nodejs/bin/node'

export interface Running {
  /** The gateway's own process, as this machine numbers it. */
  readonly pid: number
  readonly logLines: readonly string[]
  readonly ended: Promise<number | NodeJS.Signals>
  /** Ends it the hard way, if it still runs. */
  readonly kill: () => void
}

const watch = async (child: ChildProcess, findPid: () => number): Promise<Running> => {
  const logLines: string[] = []
  const ended = new Promise<number | NodeJS.Signals>((resolve) => {
    child.once('exit', (code, signal) => resolve(code ?? signal ?? -1))
  })
  const listening = new Promise<void>((resolve, reject) => {
    const fail = (how: unknown): void =>
      reject(new Error(`ended with ${how} before it listened:\n${logLines.join('\n')}`))
    ended.then(fail)
    child.once('error', fail)
    if (child.stderr === null) return fail('no standard error')
    createInterface({ input: child.stderr }).on('line', (line) => {
      logLines.push(line)
      if (line.includes('"msg":"listening"')) resolve()
    })
  })
  await listening
  return { pid: findPid(), logLines, ended, kill: () => child.kill('SIGKILL') }
}

/** A command of the image with its paths below the folder that holds its file tree, and this machine's Node. */
export const mapCommand = (root: string, words: readonly string[]): readonly [string, ...string[]] => {
  const [command = '', ...args] = words.map((word) => (word.startsWith('/') ? join(root, word) : word))
  return [command === join(root, IMAGE_NODE) ? process.execPath : command, ...args]
}

export interface User {
  readonly uid: number
  readonly gid: number
}

/** Runs a command of the image as some user, without a container around it. */
export const runPlainly = (
  root: string,
  words: readonly string[],
  workdir: string,
  user: User | undefined,
): Promise<Running> => {
  const [command, ...args] = mapCommand(root, words)
  const child = spawn(command, args, {
    cwd: join(root, workdir),
    env: { NODE_ENV: 'production' },
    stdio: ['ignore', 'ignore', 'pipe'],
    ...user,
  })
  return watch(child, () => child.pid ?? 0)
}

/**
 * What a container engine does around the process: a root of its own that nobody can write to but for one mounted
 * folder, neither capabilities nor a way to get any, and process number 1.
 */
const CONTAINER = `
set -eu
root=$1 writable=$2 node=$3 uid=$4 gid=$5
shift 5
mount --bind "$root" "$root"
for folder in lib lib64 usr/lib; do
  [ ! -d "/$folder" ] || mount --rbind "/$folder" "$root/$folder"
done
mount --bind "$node" "$root${IMAGE_NODE}"
mount -t proc proc "$root/proc"
mount --bind "$root$writable" "$root$writable"
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs chroot --userspec="$uid:$gid" --groups= "$root" "$@"
`

/** The folders that `runContained` mounts something on. */
export const MOUNT_POINTS = ['lib', 'lib64', 'usr/lib', 'proc', 'nodejs/bin']

/** Runs a command of the image as a container engine would; needs root and Linux. */
export const runContained = (
  root: string,
  words: readonly string[],
  writable: string,
  user: User,
): Promise<Running> => {
  const script = ['/bin/sh', '-c', CONTAINER, 'container', root, writable, process.execPath]
  const options = ['--mount', '--propagation', 'private', '--pid', '--fork', '--kill-child']
  const child = spawn('unshare', [...options, ...script, String(user.uid), String(user.gid), ...words], {
    env: { PATH: process.env.PATH, NODE_ENV: 'production' },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const firstChild = (): number => {
    const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8')
    return Number(children.trim().split(' ')[0])
  }
  return watch(child, firstChild)
}
