import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isTemplateMistake, parsePathTemplate, templateCaptures } from '../../src/core/path-template.ts'

const shape = (template: string): string => {
  const parsed = parsePathTemplate(template)
  if (isTemplateMistake(parsed)) return `${parsed.offset}: ${parsed.mistake}`
  return parsed.segments
    .map((segment) => {
      if (segment.kind === 'literal') return segment.text
      if (segment.kind === 'pattern') return `{${segment.name}~${segment.pattern}}`
      return segment.kind === 'rest' ? `{*${segment.name}}` : `{${segment.name}}`
    })
    .join(' ')
}

describe('path templates', () => {
  const templates: Readonly<Record<string, string>> = {
    '/': '',
    '/a/b': 'a b',
    '/a/b/': 'a b',
    '/accounts/{accountId}': 'accounts {accountId}',
    '/{a}/{b_2}/{*rest}': '{a} {b_2} {*rest}',
    '/{*rest}/': '{*rest}',
    '/{id:[0-9]{3}}/x': '{id~[0-9]{3}} x',
    '/{id:[{}]+\\}}': '{id~[{}]+\\}}',
    '/{id:a|b}': '{id~a|b}',
    '/p%20x/%7euser': 'p x ~user',
    '/a:b/@me': 'a:b @me',
  }
  for (const [template, expected] of Object.entries(templates)) {
    test(`${template} is read`, () => assert.equal(shape(template), expected))
  }
})

describe('mistakes in path templates are told with their place', () => {
  const mistakes: Readonly<Record<string, RegExp>> = {
    'accounts/{id}': /^0: .*slash/,
    '': /^0: .*slash/,
    '/a//b': /^3: an empty path segment/,
    '/a/../b': /^3: a dot segment/,
    '/a/%2e%2e/b': /^3: a dot segment/,
    '/a\\b': /^1: a backslash/,
    '/straße': /^1: .*printable ASCII/,
    '/a#b': /^1: a fragment/,
    '/a?b=c': /^1: .*query/,
    '/a/*': /^3: .*no wildcard/,
    '/a/**': /^3: .*no wildcard/,
    '/a/{id': /^3: a { without/,
    '/a/id}': /^5: a } without/,
    '/a/{}': /^3: "" cannot be the name/,
    '/a/{1x}': /^3: "1x" cannot be/,
    '/a/{a-b}': /^3: "a-b" cannot be/,
    '/a/{__proto__}': /^3: .*cannot be/,
    '/a/x{id}': /^3: a capture is a whole segment/,
    '/a/{id}.json': /^3: a capture is a whole segment/,
    '/a/{x}{y}': /^3: a capture is a whole segment/,
    '/a/{*rest}/b': /^3: .*at the end/,
    '/a/{*rest:x}': /^3: .*no pattern/,
    '/a/{id:}': /^3: .*empty/,
    '/a/{id:x/y}': /^3: .*slash/,
    '/{id}/b/{id}': /^8: .*twice/,
    '/{id}/{*id}': /^6: .*twice/,
  }
  for (const [template, expected] of Object.entries(mistakes)) {
    test(JSON.stringify(template), () => assert.match(shape(template), expected))
  }
})

test('the captures of a template are told in order, and none of one with a mistake', () => {
  assert.deepEqual(templateCaptures('/{b}/x/{a:[0-9]+}/{*rest}'), ['b', 'a', 'rest'])
  assert.deepEqual(templateCaptures('/x'), [])
  assert.deepEqual(templateCaptures('/{b}/{b}'), [])
})

test('what literals need of their route is told', () => {
  const needs = (template: string) => {
    const parsed = parsePathTemplate(template)
    assert.ok(!isTemplateMistake(parsed))
    return parsed.needs
  }
  assert.deepEqual(needs('/a/b'), { encodedSlash: false, pathParameters: false })
  assert.deepEqual(needs('/a%2fb/{x}'), { encodedSlash: true, pathParameters: false })
  assert.deepEqual(needs('/a;b/c'), { encodedSlash: false, pathParameters: true })
})
