import { isAbsolute, relative, sep } from 'node:path'
import type { Finding } from '../core/problem.ts'

/** A path as people read it: relative to a directory when it is inside of it, else unchanged. */
export const displayPath = (path: string, directory: string): string => {
  const inside = relative(directory, path)
  return inside === '' || inside.startsWith(`..${sep}`) || isAbsolute(inside) ? path : inside
}

/** `file:line:column: severity: message`, on one line; a warning's rule stands behind it, for whoever looks it up. */
export const formatFinding = (finding: Finding, cwd: string = process.cwd()): string => {
  const { file, line, column, severity } = finding
  // A message may quote a name from the file; whatever it holds, one finding stays one line.
  const message = finding.message.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, ' ')
  const rule = severity === 'warning' ? ` [${finding.rule}]` : ''
  return `${displayPath(file, cwd)}:${line}:${column}: ${severity}: ${message}${rule}`
}

const SEVERITIES: readonly Finding['severity'][] = ['error', 'warning', 'info']

const compareText = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0)

/** By file, line and column; what is said twice of one place is kept once. */
export const sortFindings = (findings: readonly Finding[]): readonly Finding[] => {
  const unique = new Map<string, Finding>()
  for (const finding of findings) {
    const { file, line, column, severity, message } = finding
    const key = JSON.stringify([file, line, column, severity, message])
    if (!unique.has(key)) unique.set(key, finding)
  }
  return [...unique.values()].sort(
    (left, right) =>
      compareText(left.file, right.file) ||
      left.line - right.line ||
      left.column - right.column ||
      SEVERITIES.indexOf(left.severity) - SEVERITIES.indexOf(right.severity) ||
      compareText(left.message, right.message),
  )
}
