import { execFileSync } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
} from 'node:fs'
import { basename, join } from 'node:path'
import { repositoryRoot } from '../house/source-files.ts'
import { readIgnore, readStages, type Stage, type Step } from './dockerfile.ts'

export interface BuiltImage {
  /** The root of the last stage's file tree; without what its base image brings. */
  readonly root: string
  readonly stage: Stage
}

/** Copies what `.dockerignore` leaves of the repository. */
export const copyContext = (target: string): void => {
  const isIgnored = readIgnore(readFileSync(join(repositoryRoot, '.dockerignore'), 'utf8'))
  for (const name of readdirSync(repositoryRoot).filter((entry) => !isIgnored(entry))) {
    cpSync(join(repositoryRoot, name), join(target, name), {
      recursive: true,
      filter: (source) => !isIgnored(source.slice(repositoryRoot.length + 1)),
    })
  }
}

interface Build {
  readonly context: string
  /** Root folders of the stages so far, by name. */
  readonly roots: ReadonlyMap<string, string>
}

/** Docker's rules: a folder gives its contents; a target that ends with a slash, or is there, is a folder. */
const copy = (build: Build, root: string, workdir: string, { args, flags }: Step): void => {
  const words = args.split(/\s+/)
  const from = flags.get('from')
  const origin = from === undefined ? build.context : build.roots.get(from)
  const target = words.pop() ?? ''
  if (origin === undefined) throw new Error(`COPY --from=${from}: there is no such stage`)
  const place = join(root, target.startsWith('/') ? '' : workdir, target)
  for (const word of words) {
    const source = join(origin, word)
    const isFolder = statSync(source).isDirectory()
    const asFolder = isFolder || words.length > 1 || target.endsWith('/') || existsSync(place)
    mkdirSync(asFolder ? place : join(place, '..'), { recursive: true })
    const copied = asFolder && !isFolder ? join(place, basename(source)) : place
    cpSync(source, copied, { recursive: true, verbatimSymlinks: true })
    const mode = flags.get('chmod')
    if (mode !== undefined) changeMode(copied, Number.parseInt(mode, 8))
  }
}

const changeMode = (path: string, mode: number): void => {
  if (lstatSync(path).isDirectory()) for (const name of readdirSync(path)) changeMode(join(path, name), mode)
  chmodSync(path, mode)
}

/** What npm gives its scripts would change what the commands do. */
const cleanEnvironment = (): NodeJS.ProcessEnv => {
  const env: NodeJS.ProcessEnv = { npm_config_prefer_offline: 'true', npm_config_update_notifier: 'false' }
  for (const [name, value] of Object.entries(process.env)) {
    if (!name.startsWith('npm_') && !name.startsWith('NODE_')) env[name] = value
  }
  return env
}

const takeStep = (build: Build, root: string, workdir: string, step: Step): void => {
  if (step.keyword === 'COPY') copy(build, root, workdir, step)
  if (step.keyword === 'RUN') {
    execFileSync('/bin/sh', ['-c', step.args], {
      cwd: join(root, workdir),
      env: cleanEnvironment(),
      stdio: 'pipe',
      encoding: 'utf8',
    })
  }
}

/**
 * Takes the steps of the Dockerfile in a folder: COPY as copies, RUN as commands of this machine in the stage's
 * working directory.
 *
 * Does not have the base images: this machine's Node and npm stand in for theirs, and nothing keeps a RUN from
 * what is outside of its stage.
 * @throws when a command fails, with its output.
 */
export const buildImage = (folder: string): BuiltImage => {
  const context = join(folder, 'context')
  mkdirSync(context)
  copyContext(context)
  const roots = new Map<string, string>()
  const stages = readStages(readFileSync(join(repositoryRoot, 'Dockerfile'), 'utf8'))
  let built: BuiltImage | undefined
  for (const [index, stage] of stages.entries()) {
    const root = join(folder, `stage-${stage.name ?? index}`)
    let workdir = '/'
    mkdirSync(root)
    for (const step of stage.steps) {
      if (step.keyword === 'WORKDIR') {
        workdir = join(workdir, step.args)
        if (step.args.startsWith('/')) workdir = step.args
        mkdirSync(join(root, workdir), { recursive: true })
      } else takeStep({ context, roots }, root, workdir, step)
    }
    if (stage.name !== null) roots.set(stage.name, root)
    built = { root, stage }
  }
  if (built === undefined) throw new Error('the Dockerfile has no stage')
  return built
}
