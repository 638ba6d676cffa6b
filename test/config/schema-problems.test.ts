import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { parseBySchema } from '../../src/config/schema-problems.ts'

const problems = (schema: z.ZodType, value: unknown): readonly string[] =>
  (parseBySchema(schema, value).problems ?? []).map(
    ({ path, message, atKey }) => `${path.join('.')}${atKey ? ' (key)' : ''}: ${message}`,
  )

const kinds = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('jwt'), issuer: z.string(), audience: z.string().optional() }),
  z.strictObject({ type: z.literal('api-key'), header: z.string() }),
])

const SENTENCES: readonly (readonly [
  name: string,
  schema: z.ZodType,
  value: unknown,
  expected: readonly string[],
])[] = [
  [
    'another type',
    z.strictObject({ a: z.number() }),
    { a: 'x y' },
    ['a: found the string "x y", expected a number'],
  ],
  [
    'a long string',
    z.strictObject({ a: z.number() }),
    { a: 'x'.repeat(99) },
    ['a: found a string, expected a number'],
  ],
  [
    'a sensitive name',
    z.strictObject({ token: z.number() }),
    { token: 'x' },
    ['token: found a string, expected a number'],
  ],
  ['null', z.strictObject({ a: z.string() }), { a: null }, ['a: found nothing, expected a string']],
  ['a list', z.strictObject({ a: z.boolean() }), { a: [1] }, ['a: found a list, expected true or false']],
  ['a map', z.strictObject({ a: z.array(z.string()) }), { a: {} }, ['a: found a map, expected a list']],
  ['no map', z.strictObject({ a: z.strictObject({}) }), { a: true }, ['a: found true, expected a map']],
  ['a missing key', z.strictObject({ a: z.string() }), {}, ['a: missing key "a": expected a string']],
  [
    'a missing key inside',
    z.strictObject({ a: z.strictObject({ b: z.int() }) }),
    { a: {} },
    ['a.b: missing key "b": expected a number'],
  ],
  [
    'an unknown key',
    z.strictObject({ url: z.string().optional() }),
    { ulr: 1 },
    ['ulr (key): found the unknown key "ulr", expected url; did you mean "url"?'],
  ],
  [
    'two unknown keys',
    z.strictObject({ a: z.int() }),
    { a: 1, xx: 1, yy: 2 },
    ['xx (key): found the unknown key "xx", expected a', 'yy (key): found the unknown key "yy", expected a'],
  ],
  [
    'a number that is too big',
    z.strictObject({ a: z.int().max(9) }),
    { a: 10 },
    ['a: found the number 10, expected at most 9'],
  ],
  [
    'a number that is too small',
    z.strictObject({ a: z.number().gt(0) }),
    { a: 0 },
    ['a: found the number 0, expected more than 0'],
  ],
  [
    'a fraction',
    z.strictObject({ a: z.int() }),
    { a: 1.5 },
    ['a: found the number 1.5, expected a whole number'],
  ],
  [
    'no multiple',
    z.strictObject({ a: z.int().multipleOf(8) }),
    { a: 9 },
    ['a: found the number 9, expected a multiple of 8'],
  ],
  [
    'a list that is too long',
    z.strictObject({ a: z.array(z.int()).max(1) }),
    { a: [1, 2] },
    ['a: found a list, expected at most 1 item'],
  ],
  [
    'a string that is too short',
    z.strictObject({ a: z.string().min(2) }),
    { a: 'x' },
    ['a: found the string "x", expected at least 2 characters'],
  ],
  ['another literal', z.strictObject({ a: z.literal(1) }), { a: 2 }, ['a: found the number 2, expected 1']],
  [
    'another word',
    z.strictObject({ a: z.enum(['read', 'write']) }),
    { a: 'raed' },
    ['a: found the string "raed", expected one of read, write; did you mean "read"?'],
  ],
  [
    'a form of its own',
    z.strictObject({ a: z.string().regex(/^x$/, 'expected x') }),
    { a: 'y' },
    ['a: found the string "y", expected x'],
  ],
  [
    'a check of its own',
    z.strictObject({ a: z.string().refine(() => false, { error: 'no' }) }),
    { a: 'y' },
    ['a: no'],
  ],
  [
    'another kind',
    kinds,
    { type: 'jtw' },
    ['type: found the string "jtw", expected one of jwt, api-key; did you mean "jwt"?'],
  ],
  ['no kind', kinds, {}, ['type: missing key "type": expected one of jwt, api-key']],
  [
    'a mistake inside of a kind',
    kinds,
    { type: 'jwt', issuer: 5, header: 'x' },
    [
      'issuer: found the number 5, expected a string',
      'header (key): found the unknown key "header", expected one of type, issuer, audience',
    ],
  ],
  [
    'no form of a union',
    z.union([z.string(), z.strictObject({ a: z.int() })]),
    5,
    [': found a number, expected a string or a map'],
  ],
  [
    'a mistake inside of a form',
    z.union([z.string(), z.strictObject({ a: z.int() })]),
    { a: 'x' },
    ['a: found the string "x", expected a number'],
  ],
  [
    'a mistake inside of a list in a union',
    z.union([z.string(), z.array(z.enum(['on']))]),
    ['of'],
    ['0: found the string "of", expected on; did you mean "on"?'],
  ],
  [
    'a name that is not allowed',
    z.record(z.string().regex(/^a/, 'expected an a'), z.int()),
    { b: 1 },
    ['b (key): found a name that is not allowed, expected an a'],
  ],
  [
    'a value in a record',
    z.record(z.string(), z.int()),
    { b: 'x' },
    ['b: found the string "x", expected a number'],
  ],
]

for (const [name, schema, value, expected] of SENTENCES) {
  test(`${name} is told in one sentence`, () => assert.deepEqual(problems(schema, value), expected))
}
