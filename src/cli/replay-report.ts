import type { Replay } from '../start/replay/replay.ts'
import { COUNTED, DIMENSIONS, type Dimension, type Group } from '../start/replay/tally.ts'
import { OUTCOMES, type Outcome } from '../start/replay/verdict.ts'

const TITLES: Readonly<Record<Outcome, string>> = {
  newlyAllowed: 'newly allowed',
  newlyDenied: 'newly denied',
  unmapped: 'unmapped',
  changed: 'changed',
  unchanged: 'unchanged',
  undecidable: 'undecidable',
}

const MEANINGS: Readonly<Record<Outcome, string>> = {
  newlyAllowed: 'denied then, allowed by the draft',
  newlyDenied: 'allowed then, denied by the draft',
  unmapped: 'no route of the draft fits',
  changed: 'decided the same, by another route, question or code',
  unchanged: 'decided the same',
  undecidable: 'the record does not tell what the draft would look at',
}

const MAX_SHOWN = 10

// A log that was tampered with must not write to the terminal.
const plain = (text: string): string => text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '?')

const plural: Readonly<Record<Dimension, string>> = {
  route: 'routes',
  policy: 'policies',
  subject: 'subjects',
  reason: 'reasons',
}

const notes = ({ counts, newlyUnmapped, otherReasons, skipped }: Replay): readonly string[] => [
  ...(counts.unmapped > 0
    ? [`${newlyUnmapped} of the unmapped had a route then; ${counts.unmapped - newlyUnmapped} never had one`]
    : []),
  ...(otherReasons > 0 ? [`${otherReasons} of the unchanged are determined by other policies`] : []),
  ...(skipped.illegible > 0 ? [`${skipped.illegible} lines could not be read`] : []),
]

const moreOf = (groups: readonly Group[]): string =>
  groups.length > MAX_SHOWN ? `and ${groups.length - MAX_SHOWN} more` : ''

/** For people, in a terminal. */
export const replayAsText = (replayed: Replay): string => {
  const { counts, groups, records, files } = replayed
  const width = Math.max(...OUTCOMES.map((outcome) => String(counts[outcome]).length))
  const lines = [
    `${records} decisions in ${files.join(' ')}`,
    ...OUTCOMES.map((outcome) => {
      const count = String(counts[outcome]).padStart(width)
      return `  ${count}  ${TITLES[outcome].padEnd(13)}  ${MEANINGS[outcome]}`
    }),
    ...notes(replayed),
  ]
  for (const outcome of COUNTED) {
    if (counts[outcome] === 0) continue
    lines.push('', `${TITLES[outcome]}:`)
    for (const dimension of DIMENSIONS) {
      const named = groups[outcome][dimension]
      if (named.length === 0) continue
      lines.push(`  by ${dimension}`)
      for (const { name, count, examples } of named.slice(0, MAX_SHOWN)) {
        lines.push(`    ${String(count).padStart(width)}  ${name}  e.g. ${examples.slice(0, 2).join(' ')}`)
      }
      if (moreOf(named) !== '') lines.push(`    ${moreOf(named)}`)
    }
  }
  return `${lines.map(plain).join('\n')}\n`
}

// What a caller chose, such as a subject, must not become markup.
const code = (text: string): string => `\`${plain(text).replaceAll('`', "'").replaceAll('|', '\\|')}\``

/** For a pull request. */
export const replayAsMarkdown = (replayed: Replay): string => {
  const { counts, groups, records, configVersion } = replayed
  const lines = [
    '### What this edit would change',
    '',
    `${records} recorded decisions were decided again under the draft ${code(configVersion.slice(0, 19))}.`,
    '',
    '| | decisions | |',
    '|---|---:|---|',
    ...OUTCOMES.map((outcome) => `| **${TITLES[outcome]}** | ${counts[outcome]} | ${MEANINGS[outcome]} |`),
    '',
    ...notes(replayed).map((note) => `- ${note}`),
  ]
  for (const outcome of COUNTED) {
    if (counts[outcome] === 0) continue
    lines.push('', `<details><summary>${TITLES[outcome]}: ${counts[outcome]}</summary>`, '')
    for (const dimension of DIMENSIONS) {
      const named = groups[outcome][dimension]
      if (named.length === 0) continue
      lines.push(`| ${plural[dimension]} | decisions | such as |`, '|---|---:|---|')
      for (const { name, count, examples } of named.slice(0, MAX_SHOWN)) {
        lines.push(`| ${code(name)} | ${count} | ${examples.slice(0, 2).map(code).join(' ')} |`)
      }
      lines.push(...(moreOf(named) === '' ? [''] : ['', moreOf(named), '']))
    }
    lines.push('</details>')
  }
  return `${lines.join('\n')}\n`
}
