import { DockerfileParser, type Instruction, type ModifiableInstruction } from 'dockerfile-ast'

/** One instruction, its continued lines joined. */
export interface Step {
  /** In upper case. */
  readonly keyword: string
  readonly args: string
  readonly flags: ReadonlyMap<string, string>
}

/** What lies between one FROM and the next. */
export interface Stage {
  readonly name: string | null
  readonly base: string
  readonly steps: readonly Step[]
}

const isModifiable = (instruction: Instruction): instruction is ModifiableInstruction =>
  'getFlags' in instruction

const toStep = (instruction: Instruction): Step => ({
  keyword: instruction.getKeyword(),
  args: (instruction.getRawArgumentsContent() ?? '').replaceAll(/\\\n\s*/g, ' '),
  flags: new Map(
    isModifiable(instruction)
      ? instruction.getFlags().map((flag) => [flag.getName(), flag.getValue() ?? ''])
      : [],
  ),
})

/** The stages of a Dockerfile, in order. */
export const readStages = (text: string): readonly Stage[] => {
  const stages: { name: string | null; base: string; steps: Step[] }[] = []
  for (const instruction of DockerfileParser.parse(text).getInstructions()) {
    const step = toStep(instruction)
    if (step.keyword === 'FROM') {
      const [base = '', , name] = step.args.split(/\s+/)
      stages.push({ name: name ?? null, base, steps: [] })
    } else stages.at(-1)?.steps.push(step)
  }
  return stages
}

/** The last step of a kind, which is the one that counts. */
export const lastStep = (stage: Stage, keyword: string): Step | undefined =>
  stage.steps.findLast((step) => step.keyword === keyword)

/** The words of a command in its JSON form; a stage without a shell can have no other. */
export const execForm = (args: string): readonly string[] => {
  const [, json = ''] = /(\[.*\])\s*$/.exec(args) ?? []
  const words: unknown = JSON.parse(json)
  if (!Array.isArray(words) || !words.every((word) => typeof word === 'string')) {
    throw new Error(`not the JSON form of a command: ${args}`)
  }
  return words
}

const toPattern = (glob: string): RegExp => {
  const source = glob
    .split(/(\*\*\/?|\*|\?)/)
    .map((part) => {
      if (part.startsWith('**')) return '.*'
      if (part === '*') return '[^/]*'
      return part === '?' ? '[^/]' : part.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&')
    })
    .join('')
  return new RegExp(`^${source}(/|$)`)
}

/**
 * Tells which paths the builder does not get to see.
 *
 * @param text of a `.dockerignore`: the last pattern that matches a path, or a folder above it, decides.
 */
export const readIgnore = (text: string): ((path: string) => boolean) => {
  const rules = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => ({ ignores: !line.startsWith('!'), pattern: toPattern(line.replace(/^!?\/?/, '')) }))
  return (path) => rules.findLast(({ pattern }) => pattern.test(path))?.ignores ?? false
}
