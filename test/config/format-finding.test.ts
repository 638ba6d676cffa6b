import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatFinding, sortFindings } from '../../src/config/format-finding.ts'
import type { Finding } from '../../src/core/problem.ts'

const finding = (more: Partial<Finding>): Finding => ({
  severity: 'error',
  rule: 'invalid',
  file: '/etc/gw/sallyport.yaml',
  line: 3,
  column: 7,
  message: 'found x, expected y',
  ...more,
})

test('a finding is one line: file, line, column, severity, message', () => {
  assert.equal(formatFinding(finding({}), '/etc'), 'gw/sallyport.yaml:3:7: error: found x, expected y')
})

test('a file outside of the working directory is told in full', () => {
  assert.match(formatFinding(finding({}), '/home/me'), /^\/etc\/gw\/sallyport\.yaml:3:7: /)
})

test('a message stays one line whatever name it quotes', () => {
  const line = formatFinding(finding({ message: 'found "a\nb\r\u2028\u001b[31m"' }), '/')
  assert.doesNotMatch(line, /[\n\r\u2028\u001b]/)
})

test('findings are sorted by place, and what is said twice is kept once', () => {
  const sorted = sortFindings([
    finding({ file: '/b' }),
    finding({ line: 20 }),
    finding({ line: 3, column: 10 }),
    finding({}),
    finding({}),
    finding({ severity: 'info' }),
  ])
  assert.deepEqual(
    sorted.map(({ file, line, column, severity }) => [file, line, column, severity]),
    [
      ['/b', 3, 7, 'error'],
      ['/etc/gw/sallyport.yaml', 3, 7, 'error'],
      ['/etc/gw/sallyport.yaml', 3, 7, 'info'],
      ['/etc/gw/sallyport.yaml', 3, 10, 'error'],
      ['/etc/gw/sallyport.yaml', 20, 7, 'error'],
    ],
  )
})
