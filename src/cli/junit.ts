import type { TestResult } from '../start/decision-tests.ts'

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  '\n': '&#10;',
  '\t': '&#9;',
}

// XML 1.0 has no way to write most control characters.
const xmlText = (text: string): string =>
  text
    .replaceAll(/[\u0000-\u0008\u000b-\u001f\u007f\ufffe\uffff]|\p{Surrogate}/gu, '?')
    .replaceAll(/[&<>"\n\t]/g, (character) => ESCAPES[character] ?? '')

/** Results as the XML that continuous integration reads, a suite for each file. */
export const asJUnit = (results: readonly TestResult[]): string => {
  const byFile = new Map<string, TestResult[]>()
  for (const result of results) {
    byFile.set(result.test.file, [...(byFile.get(result.test.file) ?? []), result])
  }
  const suites = [...byFile].map(([file, suite]) => {
    const cases = suite.map(testCase).join('')
    return `  <testsuite name="${xmlText(file)}" ${counts(suite)}>\n${cases}  </testsuite>\n`
  })
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites ${counts(results)}>\n${suites.join('')}</testsuites>\n`
}

const counts = (results: readonly TestResult[]): string =>
  `tests="${results.length}" failures="${results.filter(({ findings }) => findings.length > 0).length}" errors="0" skipped="0"`

const testCase = ({ test, findings }: TestResult): string => {
  const open = `    <testcase name="${xmlText(test.name)}" classname="${xmlText(test.file)}" file="${xmlText(test.file)}" line="${test.line}"`
  if (findings.length === 0) return `${open}/>\n`
  const message = xmlText(findings.map((finding) => finding.message).join('\n'))
  const places = xmlText(findings.map(({ file, line, column }) => `${file}:${line}:${column}`).join('\n'))
  return `${open}>\n      <failure message="${message}">${places}</failure>\n    </testcase>\n`
}
