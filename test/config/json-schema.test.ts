import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { parse } from 'yaml'
import { gatewayJsonSchema, routesJsonSchema, testsJsonSchema } from '../../src/config/json-schema.ts'
import { GATEWAY, ROUTES, SOUND } from './world.ts'

type Schema = Readonly<Record<string, unknown>>

const isMap = (value: unknown): value is Schema =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

const maps = (value: unknown): readonly Schema[] => (Array.isArray(value) ? value.filter(isMap) : [])

const typeOf = (value: unknown): string => {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return Number.isInteger(value) ? 'integer' : typeof value
}

const isOfType = (value: unknown, wanted: unknown): boolean => {
  const type = typeOf(value)
  return [wanted].flat().some((each) => each === type || (each === 'number' && type === 'integer'))
}

/** Those keywords that the schemas have; an unknown one fails, so that none is ignored. */
const KNOWN = new Set([
  ...['$schema', '$ref', '$id', 'id', 'title', 'description', 'default', 'definitions', 'format'],
  ...[
    'type',
    'const',
    'enum',
    'pattern',
    'minLength',
    'maxLength',
    'minimum',
    'maximum',
    'minItems',
    'maxItems',
  ],
  ...['items', 'properties', 'required', 'additionalProperties', 'propertyNames', 'anyOf', 'oneOf', 'allOf'],
])

/** Where a value does not fit a schema of draft-07; enough of it for the schemas here. */
const misfits = (root: Schema, schema: Schema, value: unknown, at = ''): readonly string[] => {
  for (const keyword of Object.keys(schema)) assert.ok(KNOWN.has(keyword), `keyword ${keyword}`)
  const inner = (nested: unknown, held: unknown, key: string | number): readonly string[] =>
    isMap(nested) ? misfits(root, nested, held, `${at}/${key}`) : nested === false ? [`${at}/${key}`] : []
  const here = (fits: boolean): readonly string[] => (fits ? [] : [at])
  const found: string[] = []
  if (typeof schema.$ref === 'string') {
    const target = schema.$ref
      .split('/')
      .slice(1)
      .reduce<unknown>((held, key) => (isMap(held) ? held[key] : null), root)
    assert.ok(isMap(target), schema.$ref)
    found.push(...misfits(root, target, value, at))
  }
  if (schema.type !== undefined) found.push(...here(isOfType(value, schema.type)))
  if ('const' in schema) found.push(...here(schema.const === value))
  if (Array.isArray(schema.enum)) found.push(...here(schema.enum.includes(value)))
  if (typeof value === 'string') {
    if (typeof schema.pattern === 'string') found.push(...here(new RegExp(schema.pattern).test(value)))
    if (typeof schema.minLength === 'number') found.push(...here(value.length >= schema.minLength))
  }
  if (typeof value === 'number') {
    if (typeof schema.minimum === 'number') found.push(...here(value >= schema.minimum))
    if (typeof schema.maximum === 'number') found.push(...here(value <= schema.maximum))
  }
  if (Array.isArray(value)) {
    if (typeof schema.minItems === 'number') found.push(...here(value.length >= schema.minItems))
    found.push(...value.flatMap((item, index) => inner(schema.items, item, index)))
  }
  if (isMap(value)) found.push(...mapMisfits(schema, value, inner, here))
  for (const keyword of ['anyOf', 'oneOf']) {
    const branches = maps(schema[keyword])
    if (branches.length === 0) continue
    found.push(...here(branches.some((branch) => misfits(root, branch, value, at).length === 0)))
  }
  return [...found, ...maps(schema.allOf).flatMap((each) => misfits(root, each, value, at))]
}

const mapMisfits = (
  schema: Schema,
  value: Schema,
  inner: (nested: unknown, held: unknown, key: string) => readonly string[],
  here: (fits: boolean) => readonly string[],
): readonly string[] => {
  const properties = isMap(schema.properties) ? schema.properties : {}
  const required = Array.isArray(schema.required) ? schema.required : []
  return [
    ...required.flatMap((key) => here(Object.hasOwn(value, key))),
    ...Object.entries(value).flatMap(([key, held]) =>
      inner(Object.hasOwn(properties, key) ? properties[key] : schema.additionalProperties, held, key),
    ),
    ...Object.keys(value).flatMap((key) => inner(schema.propertyNames, key, key)),
  ]
}

const check = (schema: object, value: unknown): readonly string[] => {
  assert.ok(isMap(schema))
  return misfits(schema, schema, value)
}

const shipped = (file: string): unknown =>
  parse(readFileSync(new URL(`../../../config/${file}`, import.meta.url), 'utf8'))

const SCHEMAS = [
  [
    'the gateway',
    gatewayJsonSchema(),
    [shipped('sallyport.yaml'), parse(String(SOUND[GATEWAY]))],
    'upstreams',
  ],
  ['route maps', routesJsonSchema(), [shipped('routes/bank.yaml'), parse(String(SOUND[ROUTES]))], 'routes'],
  ['decision tests', testsJsonSchema(), [shipped('tests/bank.yaml')], 'tests'],
] as const

const SCHEMA_MAPS = ['properties', 'definitions']
const SCHEMA_LISTS = ['anyOf', 'oneOf', 'allOf']

/** Every property of a schema, by the path that leads to it. */
const properties = (schema: unknown, at: string): readonly (readonly [string, unknown])[] => {
  if (!isMap(schema)) return []
  const own = isMap(schema.properties) ? Object.entries(schema.properties) : []
  const inside = [
    ...SCHEMA_MAPS.flatMap((keyword) => Object.entries(Object(schema[keyword]))),
    ...SCHEMA_LISTS.flatMap((keyword) => Object.entries(Object(schema[keyword]))),
    ...['items', 'additionalProperties'].map((keyword) => [keyword, schema[keyword]] as const),
  ]
  return [
    ...own.map(([key, value]) => [`${at}/${key}`, value] as const),
    ...inside.flatMap(([key, value]) => properties(value, `${at}/${key}`)),
  ]
}

for (const [name, schema, files, key] of SCHEMAS) {
  describe(`the JSON Schema of ${name}`, () => {
    test('says draft-07, which editors know', () => {
      assert.equal(Reflect.get(schema, '$schema'), 'http://json-schema.org/draft-07/schema#')
    })

    test('describes every field', () => {
      const found = properties(schema, '')
      assert.ok(found.length > 10)
      const isSilent = (value: unknown): boolean =>
        isMap(value) && !('const' in value) && !('$ref' in value) && !value.description
      const silent = found.filter(([, value]) => isSilent(value))
      assert.deepEqual(
        silent.map(([path]) => path),
        [],
      )
    })

    test('fits the files that are shipped, and those of the tests', () => {
      for (const file of files) assert.deepEqual(check(schema, file), [])
    })

    test('does not fit an unknown key, nor a value of another type', () => {
      for (const file of files) {
        assert.deepEqual(check(schema, { ...Object(file), unknown: 1 }), ['/unknown'])
        assert.deepEqual(check(schema, { ...Object(file), [key]: 5 }), [`/${key}`])
      }
    })
  })
}
