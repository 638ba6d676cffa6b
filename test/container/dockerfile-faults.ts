import { execForm, lastStep, readStages, type Stage } from './dockerfile.ts'

const isExecForm = (args: string): boolean => {
  try {
    return execForm(args).length > 0
  } catch {
    return false
  }
}

/** `name:tag`, the tag not one that moves to another major version. */
const PINNED = /^[a-z0-9./-]+:(?!latest$)[\w.-]+(@sha256:[0-9a-f]{64})?$/
const WITHOUT_SHELL = /^(gcr\.io\/distroless\/|scratch$)/

/** What each stage must have; a sentence for each thing that is wrong. */
const findInAnyStage = (stages: readonly Stage[]): readonly string[] =>
  stages.flatMap(({ base, steps }) => [
    ...(PINNED.test(base) ? [] : [`${base} has no tag that stays`]),
    ...steps.filter(({ keyword }) => keyword === 'ADD').map(({ args }) => `ADD ${args}: COPY is meant`),
    ...steps
      .filter(({ keyword, args }) => keyword === 'COPY' && /^(\.|\/)\s/.test(args))
      .map(({ args }) => `COPY ${args} copies more than is named`),
  ])

const findInLastStage = (stage: Stage): readonly string[] => {
  const faults: string[] = []
  const [user = '', group] = (lastStep(stage, 'USER')?.args ?? '').split(':')
  if (!WITHOUT_SHELL.test(stage.base)) faults.push(`${stage.base} has a shell`)
  if (!/^[1-9]\d*$/.test(user) || group === '0') faults.push('USER is not the number of an unprivileged user')
  for (const keyword of ['ENTRYPOINT', 'CMD', 'HEALTHCHECK']) {
    const step = lastStep(stage, keyword)
    if (step === undefined) faults.push(`${keyword} is missing`)
    else if (!isExecForm(step.args)) faults.push(`${keyword} needs a shell`)
  }
  if (stage.steps.some(({ keyword }) => keyword === 'RUN')) faults.push('RUN needs a shell')
  if (lastStep(stage, 'STOPSIGNAL')?.args !== 'SIGTERM') faults.push('STOPSIGNAL is not SIGTERM')
  const isProduction = stage.steps.some(
    ({ keyword, args }) => keyword === 'ENV' && args === 'NODE_ENV=production',
  )
  if (!isProduction) faults.push('NODE_ENV is not production')
  const chowns = stage.steps.filter(({ flags }) => flags.has('chown') && flags.get('chown') !== '0:0')
  for (const { args } of chowns) faults.push(`COPY ${args} gives files away`)
  return faults
}

/** Where a Dockerfile is not what docs/deploy-container.md says of the image. */
export const findDockerfileFaults = (text: string): readonly string[] => {
  const stages = readStages(text)
  const last = stages.at(-1)
  if (last === undefined) return ['there is no stage']
  const single = stages.length < 2 ? ['what builds is part of the image'] : []
  return [...single, ...findInAnyStage(stages), ...findInLastStage(last)]
}
