import type { Finding } from '../../core/problem.ts'

/** A comment that silences a rule where it stands. */
interface Disable {
  readonly rules: readonly string[]
  readonly reason: string
  /** Where the comment is. */
  readonly line: number
  readonly column: number
  /** The line that it is for: its own, or the first one below that is no comment. */
  readonly target: number
  used: boolean
}

const COMMENT =
  /(?:^|\s)(?:#|\/\/)\s*sallyport-disable(?:\s+([a-z0-9-]+(?:\s*,\s*[a-z0-9-]+)*))?\s*(?::\s*(.*))?$/
const ONLY_COMMENT = /^\s*(?:#|\/\/)/

/** Files are read again by their text, since comments are no part of what was loaded. */
export type TextOf = (file: string) => string | null

/**
 * Takes out what a comment such as `# sallyport-disable shadowed-route: the reason` silences.
 *
 * It counts on the line of the finding, or in the comment right above it, or right above the route that the finding
 * is in. One without a reason silences nothing and is a finding itself, and so is one that silences nothing.
 *
 * @param routeLineOf the line on which the route begins that holds a line; the line itself outside of routes.
 */
export const applyDisables = (
  findings: readonly Finding[],
  files: readonly string[],
  textOf: TextOf,
  routeLineOf: (file: string, line: number) => number,
): readonly Finding[] => {
  const disables = new Map(files.map((file) => [file, readDisables(textOf(file) ?? '')]))
  const kept = findings.filter((finding) => {
    const { file, line, rule, severity } = finding
    if (severity === 'error') return true
    const lines = new Set([line, routeLineOf(file, line)])
    const silencing = (disables.get(file) ?? []).filter(
      (disable) => lines.has(disable.target) && disable.rules.includes(rule) && disable.reason !== '',
    )
    for (const disable of silencing) disable.used = true
    return silencing.length === 0
  })
  const about = [...disables].flatMap(([file, all]) => all.flatMap((disable) => mistakesOf(file, disable)))
  return [...kept, ...about]
}

const readDisables = (text: string): readonly Disable[] => {
  const lines = text.split(/\r?\n/)
  return lines.flatMap((content, index): readonly Disable[] => {
    const found = COMMENT.exec(content)
    if (found === null) return []
    const [, rules = '', reason = ''] = found
    let target = index
    while (ONLY_COMMENT.test(lines[target] ?? '')) target += 1
    return [
      {
        rules: rules.split(/\s*,\s*/).filter(Boolean),
        reason: reason.trim(),
        line: index + 1,
        column: found.index + 1,
        target: target + 1,
        used: false,
      },
    ]
  })
}

const mistakesOf = (file: string, { rules, reason, line, column, used }: Disable): readonly Finding[] => {
  const place = { severity: 'warning', file, line, column } as const
  if (rules.length === 0 || reason === '') {
    const message =
      'found a sallyport-disable without a rule and a reason, expected such as # sallyport-disable shadowed-route: the application answers 405 itself'
    return [{ ...place, rule: 'disable-without-reason', message }]
  }
  if (used) return []
  const message = `nothing is found here by ${rules.join(', ')}; remove the comment`
  return [{ ...place, rule: 'unused-disable', message }]
}
