import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { canonicalTarget, isNotCanonical, segmentValue, unmetNeed } from '../../src/core/canonical-target.ts'

const spell = (target: string): string => {
  const result = canonicalTarget(target)
  return isNotCanonical(result) ? `refused: ${result.reason}` : result.path + result.query
}

describe('targets and their one spelling', () => {
  const spellings: Readonly<Record<string, string>> = {
    '/': '/',
    '/accounts/42': '/accounts/42',
    '/accounts/42/': '/accounts/42/',
    '/a?': '/a?',
    '/a?b?c': '/a?b?c',
    '/a%62c': '/abc',
    '/%61%2D%5f%7e%2E%41': '/a-_~.A',
    '/%c3%a9': '/%C3%A9',
    '/p%20x%40': '/p%20x%40',
    "/!$&'()*+,=:@": "/!$&'()*+,=:@",
    '/"<>[]^`{|}': '/"<>[]^`{|}',
    '/100%25': '/100%25',
    '/100%25/x': '/100%25/x',
    '/a%252': '/a%252',
    '/...': '/...',
    '/.well-known/x': '/.well-known/x',
    '/..a/.b/c.': '/..a/.b/c.',
    '/a?x=%2f%3b%23%253d%25zz': '/a?x=%2F%3B%23%253d%25zz',
    '/a?x=%0d%0a%09': '/a?x=%0D%0A%09',
    '/a?x=../../b//c;d\\e': '/a?x=../../b//c;d\\e',
    '/a?f[x]={"y"}': '/a?f[x]={"y"}',
    '/a?%41%3d=%7e+%2b': '/a?A%3D=~+%2B',
  }
  for (const [target, expected] of Object.entries(spellings)) {
    test(`${target} is ${expected}`, () => assert.equal(spell(target), expected))
  }
})

describe('targets that have no one spelling', () => {
  const refused: Readonly<Record<string, readonly string[]>> = {
    'a dot segment': [
      ...['/.', '/..', '/./a', '/../a', '/a/.', '/a/..', '/a/./b', '/a/../b', '/public/../admin/secrets'],
      ...[
        '/%2e',
        '/%2E%2e/a',
        '/user/%2e%2e/admin',
        '/a/.%2e/b',
        '/a/%2e./b',
        '/a/%2e/b',
        '/user/%2e%2e%2fadmin',
      ],
      ...[
        '/a/..;x/b',
        '/a/..;/b',
        '/a/.;x',
        '/a/%2e%2e;x/b',
        '/a/..%3bx',
        '/a/..%2f..%2fb',
        '/a%2f..%2fb',
        '/a%2F.',
      ],
    ],
    'an empty path segment': [
      ...[
        '//',
        '//admin/people',
        '/a//b',
        '/a//',
        '///',
        '/a/%2fb',
        '/%2fadmin',
        '/a%2f%2fb',
        '/a%2f/',
        '/;x/a',
        '/a/;',
      ],
      ...['/a/%3bx', '//evil.example/a'],
    ],
    'a backslash': ['/a\\b', '/..\\a'],
    'an encoded backslash': ['/a%5cb', '/a%5Cb'],
    'an encoded control character': [
      ...['/a%00', '/%0a', '/a%0D%0Ab', '/%1f', '/%7f', '/%c2%80', '/%C2%9F', '/a?x=%00'],
    ],
    'an encoded question mark in the path': ['/a%3fb'],
    'an encoded number sign in the path': ['/a%23b'],
    'a fragment': ['/a#b', '/a?b#c', '#', '/user/profile#section1'],
    'a double percent-encoding': ['/%252e', '/%252f', '/a%25%32%46', '/%25%34%31', '/%2525', '/a%25aF'],
    'an invalid percent-encoding': ['/%', '/a%2', '/%zz', '/%u002f', '/a?x=%', '/a?x=%4', '/a?x=%GG', '/%-1'],
    'a percent-encoding that is not UTF-8': [
      ...[
        '/%c0%af',
        '/%e0%80%af',
        '/%ff',
        '/%c3',
        '/%c3a',
        '/%80',
        '/%ed%a0%80',
        '/%f4%90%80%80',
        '/a?x=%ff',
        '/a?x=%c0%ae',
      ],
    ],
    'a raw character that is not printable ASCII': [
      '/\u00e9',
      '/a b',
      '/a\tb',
      '/a\0',
      '/a\x7f',
      '/a?\u00e9',
      '/a?x y',
      '/\u2215',
    ],
    'a target that does not start with a slash': ['', '*', 'a', '?x', 'http://a/b', '\\a', '%2Fa'],
  }
  for (const [reason, targets] of Object.entries(refused)) {
    for (const target of targets) {
      test(`${JSON.stringify(target)} has ${reason}`, () => {
        // A sign for a fragment and a start that is no slash may both be there.
        if (target === '#') return assert.match(spell(target), /^refused: /)
        assert.equal(spell(target), `refused: ${reason}`)
      })
    }
  }
})

describe('what only some routes take', () => {
  const NONE = { allowEncodedSlash: false, allowPathParameters: false }
  const needsOf = (target: string) => {
    const result = canonicalTarget(target)
    assert.ok(!isNotCanonical(result), target)
    return result
  }

  test('an encoded slash, in either case, wants allowEncodedSlash', () => {
    for (const target of ['/a%2fb', '/a%2Fb', '/admin%2F', '/a/b%2fc/d']) {
      const { path, needs } = needsOf(target)
      assert.equal(path, target.replace('%2f', '%2F'))
      assert.equal(unmetNeed(needs, NONE), 'an encoded slash in the path')
      assert.equal(unmetNeed(needs, { ...NONE, allowPathParameters: true }), 'an encoded slash in the path')
      assert.equal(unmetNeed(needs, { ...NONE, allowEncodedSlash: true }), null)
    }
  })

  test('a semicolon, raw or encoded, wants allowPathParameters', () => {
    for (const target of ['/a;b=1/c', '/a%3bb', '/a;', '/a;..']) {
      const { needs } = needsOf(target)
      assert.equal(unmetNeed(needs, NONE), 'a semicolon in the path')
      assert.equal(unmetNeed(needs, { ...NONE, allowEncodedSlash: true }), 'a semicolon in the path')
      assert.equal(unmetNeed(needs, { ...NONE, allowPathParameters: true }), null)
    }
  })

  test('neither matters in the query', () => {
    assert.equal(unmetNeed(needsOf('/a?b=%2F;c=%3B').needs, NONE), null)
  })

  test('a segment says what it is decoded once, and stays encoded where it could look like several', () => {
    assert.equal(segmentValue('p%20x'), 'p x')
    assert.equal(segmentValue('100%25'), '100%')
    assert.equal(segmentValue('%C3%A9'), 'é')
    assert.equal(segmentValue('a%2Fb%20c'), 'a%2Fb%20c')
    assert.equal(segmentValue('a;b%20c'), 'a;b%20c')
    assert.equal(segmentValue('a%3Bb'), 'a%3Bb')
  })
})

const piece = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      'a',
      'B',
      '0',
      '.',
      '..',
      '/',
      '/',
      '//',
      '?',
      '&',
      '=',
      ';',
      '~',
      '-',
      '+',
      '@',
    ),
  },
  {
    weight: 2,
    arbitrary: fc.integer({ min: 0, max: 255 }).map((byte) => `%${byte.toString(16).padStart(2, '0')}`),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      '%2e',
      '%2E',
      '%2f',
      '%25',
      '%C3%A9',
      '%e2%82%ac',
      '%41',
      '%5c',
      '\\',
      '#',
      '%',
      ' ',
    ),
  },
  { weight: 1, arbitrary: fc.string({ maxLength: 2, unit: 'binary' }) },
)
const targets = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`)

describe('for random targets', () => {
  test('the canonical form is its own canonical form', () => {
    fc.assert(
      fc.property(targets, (target) => {
        const once = canonicalTarget(target)
        if (isNotCanonical(once)) return
        assert.deepEqual(canonicalTarget(once.path + once.query), once)
      }),
      { numRuns: 3000 },
    )
  })

  test('a canonical path has nothing that two parsers read in two ways', () => {
    fc.assert(
      fc.property(targets, (target) => {
        const result = canonicalTarget(target)
        if (isNotCanonical(result)) return
        const { path, query } = result
        assert.match(path + query, /^[\x21-\x7e]+$/)
        assert.doesNotMatch(path + query, /#|%00|%(?![0-9A-F]{2})/)
        assert.doesNotMatch(path + query, /%(?:4[1-9A-F]|5[0-9A]|6[1-9A-F]|7[0-9A]|3[0-9]|2D|2E|5F|7E)/)
        assert.doesNotMatch(path, /\\|%5C|%[01]|%7F|%3F|%23|%25[0-9A-Fa-f]{2}/)
        // As the most lenient application would look at it: slashes decoded, parameters taken off.
        const seen = path.replaceAll('%2F', '/').split('/').slice(1)
        for (const [index, segment] of seen.entries()) {
          const name = segment.split(/;|%3B/)[0]
          assert.notEqual(name, '.')
          assert.notEqual(name, '..')
          if (index < seen.length - 1 || segment !== '') assert.notEqual(name, '')
        }
        decodeURIComponent(path + query)
      }),
      { numRuns: 3000 },
    )
  })

  test('every spelling of a path is refused, or has the same canonical form', () => {
    const plain = fc.array(fc.constantFrom(...'abcXYZ019-_~'), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(
        fc.array(plain, { minLength: 1, maxLength: 4 }),
        fc.infiniteStream(fc.nat(2)),
        (segments, choice) => {
          const hide = (character: string): string => {
            const hex = character.charCodeAt(0).toString(16)
            return [character, `%${hex}`, `%${hex.toUpperCase()}`][choice.next().value ?? 0] ?? character
          }
          const path = `/${segments.map((segment) => segment.join('')).join('/')}`
          const hidden = `/${segments.map((segment) => segment.map(hide).join('')).join('/')}`
          assert.equal(spell(hidden), path)
        },
      ),
    )
  })
})
