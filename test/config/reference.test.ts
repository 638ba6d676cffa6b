import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gatewayJsonSchema, routesJsonSchema } from '../../src/config/json-schema.ts'

const repositoryRoot = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')
const SCRIPT = join(repositoryRoot, 'scripts', 'configuration-reference.mjs')

interface Described {
  readonly description?: string
  readonly properties?: Readonly<Record<string, Described>>
  readonly items?: Described
  readonly additionalProperties?: Described | boolean
  readonly anyOf?: readonly Described[]
  readonly oneOf?: readonly Described[]
}

const descriptionsOf = (schema: Described): readonly string[] => {
  const { description, properties = {}, items, additionalProperties, anyOf = [], oneOf = [] } = schema
  const isSecret = anyOf.some((each) => each.properties?.env !== undefined)
  const inner = [...Object.values(properties), ...(isSecret ? [] : anyOf), ...oneOf]
  if (items !== undefined) inner.push(items)
  if (typeof additionalProperties === 'object') inner.push(additionalProperties)
  return [...(description === undefined ? [] : [description]), ...inner.flatMap(descriptionsOf)]
}

const written = readFileSync(join(repositoryRoot, 'config', 'reference.md'), 'utf8')

test('the reference of the configuration says what the schemas say; npm run schema writes it anew', () => {
  assert.equal(written, execFileSync(process.execPath, [SCRIPT], { encoding: 'utf8' }))
})

for (const [name, schema] of [
  ['gateway', gatewayJsonSchema()],
  ['route map', routesJsonSchema()],
] as const) {
  test(`every field of the ${name} that has a description is in the reference`, () => {
    const plain = written.replaceAll('\\|', '|')
    // What describes a list's entry stands beside the list itself.
    const missing = descriptionsOf(schema).filter((text) => !plain.includes(text.replace(/\.$/, '')))
    assert.deepEqual(missing, [])
  })
}
