import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { z } from 'zod'
import { parseBySchema } from '../../src/config/schema-problems.ts'
import { createSettings } from '../../src/config/settings.ts'

const settings = createSettings({
  file: () => '/etc/gw/sallyport.yaml',
  env: { TOKEN: 'from-env\n', EMPTY: '\n', CRLF: 'a\r\n', TWO: 'a\n\n' },
  readSecret: (path) => (path === '/etc/gw/secrets/one' ? Buffer.from('from-file\n') : 'no such file'),
})

const parse = <T>(schema: z.ZodType<T>, value: unknown): T | string => {
  const parsed = parseBySchema(z.strictObject({ it: schema }), { it: value })
  if (parsed.problems === null) return parsed.value.it
  assert.equal(parsed.problems.length, 1)
  return `${parsed.problems[0]?.path.join('.')}: ${parsed.problems[0]?.message}`
}

test('a path is relative to the file that names it', () => {
  assert.equal(parse(settings.path(), 'keys.yaml'), '/etc/gw/keys.yaml')
  assert.equal(parse(settings.path(), '../x'), '/etc/x')
  assert.equal(parse(settings.glob(), '/abs/*.yaml'), '/abs/*.yaml')
  assert.equal(parse(settings.path(), ''), 'it: found an empty string, expected a path')
})

describe('a duration', () => {
  const DURATIONS = {
    '0s': 0,
    '500ms': 500,
    '15s': 15_000,
    '5m': 300_000,
    '1h': 3_600_000,
    '24h': 86_400_000,
  }
  for (const [text, milliseconds] of Object.entries(DURATIONS)) {
    test(`${text} is ${milliseconds} milliseconds`, () => {
      assert.equal(parse(settings.duration(), text), milliseconds)
    })
  }

  for (const text of [
    '',
    '15',
    '15 s',
    '1.5s',
    '-1s',
    '+1s',
    '1S',
    '1d',
    's',
    '01s',
    '1s1s',
    15,
    null,
    ['15s'],
  ]) {
    test(`${JSON.stringify(text)} is none, and it is said what is expected`, () => {
      assert.match(
        String(parse(settings.duration(), text)),
        /^it: found .*, expected a duration such as 500ms, 15s, 5m or 1h$/,
      )
    })
  }

  test('is within its limits, and within what a timer can hold', () => {
    const limited = settings.duration({ minMs: 1000, maxMs: 60_000 })
    assert.equal(parse(limited, '500ms'), 'it: found 500ms, expected at least 1s')
    assert.equal(parse(limited, '2m'), 'it: found 2m, expected at most 1m')
    assert.match(String(parse(settings.duration(), '600h')), /^it: found 600h, expected at most /)
  })
})

describe('a secret', () => {
  const reveal = (value: unknown): string => {
    const parsed = parse(settings.secret(), value)
    return typeof parsed === 'string' ? parsed : parsed.reveal()
  }

  test('is taken from the environment or a file, without one line end', () => {
    assert.equal(reveal({ env: 'TOKEN' }), 'from-env')
    assert.equal(reveal({ env: 'CRLF' }), 'a')
    assert.equal(reveal({ env: 'TWO' }), 'a\n')
    assert.equal(reveal({ file: 'secrets/one' }), 'from-file')
  })

  test('cannot be printed by accident', () => {
    const parsed = parse(settings.secret(), { env: 'TOKEN' })
    assert.doesNotMatch(`${parsed} ${JSON.stringify(parsed)}`, /from-env/)
  })

  const MISTAKES: readonly (readonly [value: unknown, expected: RegExp])[] = [
    [{ env: 'MISSING' }, /^it\.env: the environment variable MISSING is not set/],
    [{ env: 'toString' }, /^it\.env: the environment variable of that name is not set/],
    [{ env: '__proto__' }, /^it\.env: the environment variable of that name is not set/],
    [{ env: 'EMPTY' }, /^it\.env: the environment variable EMPTY is empty/],
    [{ env: 's3cr3t-value' }, /^it\.env: found a string that cannot name an environment variable$/],
    [{ file: 'secrets/two' }, /^it\.file: the secret's file cannot be read: no such file$/],
    [{ env: 'TOKEN', file: 'secrets/one' }, /^it: found a map, expected either env or file, not both$/],
    [{ env: 's3cr3t' }, /^it\.env: the environment variable of that name is not set/],
    [{ name: 's3cr3t' }, /^it: found a map, expected \{ env: NAME \} or \{ file: path \}$/],
    ['s3cr3t', /^it: found a string, expected .*never text in the file$/],
    [12345678, /^it: found a number, expected \{ env: NAME \} or \{ file: path \}$/],
    [null, /^it: found nothing, expected \{ env: NAME \} or \{ file: path \}$/],
    [undefined, /^it: missing key "it": expected \{ env: NAME \} or \{ file: path \}$/],
    [{}, /^it: found a map, expected /],
  ]
  for (const [value, expected] of MISTAKES) {
    test(`${JSON.stringify(value)} is none, and is not shown`, () => {
      const message = reveal(value)
      assert.match(message, expected)
      assert.doesNotMatch(message, /s3cr3t/)
    })
  }
})

describe('a URL', () => {
  for (const url of [
    'http://127.0.0.1:9000',
    'https://idp.example.com/realms/a',
    'HTTP://Host/',
    'http://[::1]:80',
  ]) {
    test(`${url} is kept as it is written`, () => assert.equal(parse(settings.url(), url), url))
  }

  const NONE = [
    '',
    'host',
    'ftp://host',
    '//host',
    'http:host',
    'http:\\\\host',
    'http://',
    'http://a b',
    ' http://host',
    'http://host:99999',
    'http://u@host',
    'http://u:p4ss@host',
    'http://@host',
    'http://host/?q',
    'http://host/#f',
    'http://h\u00f6st',
    'javascript:alert(1)',
  ]
  for (const url of NONE) {
    test(`${JSON.stringify(url)} is none`, () => {
      const message = String(parse(settings.url(), url))
      assert.match(message, /^it: found .*, expected an http: or https: URL/)
      assert.doesNotMatch(message, /p4ss/)
    })
  }
})
