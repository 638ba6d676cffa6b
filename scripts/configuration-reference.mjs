// Renders the JSON schemas of the configuration for people. As a program it prints what config/reference.md has to say.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { root } from './prepare.mjs'

const DURATION = '(ms|s|m|h)$'

const isSecret = ({ anyOf = [] }) =>
  anyOf.length === 2 && anyOf.every(({ properties = {} }) => 'env' in properties || 'file' in properties)

const code = (value) => `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``

const bounds = ({ minimum = Number.MIN_SAFE_INTEGER, maximum = Number.MAX_SAFE_INTEGER }) => {
  const from = minimum > Number.MIN_SAFE_INTEGER ? ` from ${minimum}` : ''
  return maximum < Number.MAX_SAFE_INTEGER ? `${from} to ${maximum}` : from
}

/** What a value may be, in a few words. */
const wordsFor = (schema) => {
  const {
    type,
    enum: names,
    const: constant,
    anyOf,
    items,
    additionalProperties: rest,
    pattern = '',
  } = schema
  if (isSecret(schema)) return 'secret'
  if (constant !== undefined) return code(constant)
  if (names !== undefined) return names.map(code).join(', ')
  if (anyOf !== undefined) return [...new Set(anyOf.map(wordsFor))].join(' or ')
  if (type === 'boolean') return '`true`, `false`'
  if (type === 'integer' || type === 'number') return `number${bounds(schema)}`
  if (type === 'array') return `list of ${plural(wordsFor(items ?? {}))}`
  if (type === 'object') return typeof rest === 'object' && !schema.properties ? 'map' : 'fields below'
  if (type === 'string') return pattern.endsWith(DURATION) ? 'duration' : 'text'
  return 'any value'
}

const sentence = (text) => (text.endsWith('.') ? text : `${text}.`)

const plural = (words) => (words === 'fields below' ? 'entries below' : words)

/** A field that has fields, or the fields of what it is a list or map of; with what its key then looks like. */
const inside = (schema) => {
  if (isSecret(schema)) return []
  const { properties, items, anyOf, oneOf, additionalProperties: rest } = schema
  const here = properties === undefined ? [] : [{ suffix: '', fields: schema }]
  const listed =
    typeof items === 'object' ? inside(items).map((each) => ({ ...each, suffix: `[]${each.suffix}` })) : []
  const mapped =
    typeof rest === 'object' ? inside(rest).map((each) => ({ ...each, suffix: `.*${each.suffix}` })) : []
  return [...here, ...listed, ...mapped, ...[...(anyOf ?? []), ...(oneOf ?? [])].flatMap(inside)]
}

const cell = (text) => text.replaceAll('|', '\\|').replaceAll('\n', ' ')

/** What the schema says of a value, of what it may be instead, and of what it is a list or map of. */
const describe = (schema) => {
  if (isSecret(schema)) return schema.description ?? ''
  const { description, anyOf = [], oneOf = [], items, additionalProperties: rest } = schema
  const others = [...anyOf, ...oneOf].map((each) => ({ what: `As ${wordsFor(each)}`, text: describe(each) }))
  const each = [items, rest].map((inner) => ({
    what: 'Each',
    text: typeof inner === 'object' ? describe(inner) : '',
  }))
  const more = [...others, ...each]
    .filter(({ text }) => text !== '')
    .map(({ what, text }) => `${what}: ${text}`)
  return [description ?? '', ...more]
    .filter((text) => text !== '')
    .reduce((all, text) => `${sentence(all)} ${text}`, '')
    .replace(/^\. /, '')
}

const row = (key, schema, isRequired) => {
  const { default: usual } = schema
  const isPlain = usual !== undefined && (typeof usual !== 'object' || Array.isArray(usual))
  const initial = isRequired ? '**required**' : isPlain ? code(usual) : ''
  return `| ${[code(key), wordsFor(schema), initial, describe(schema)].map(cell).join(' | ')} |`
}

/** One row a field, and one for each field within it. */
const rows = (prefix, { properties = {}, required = [] }) =>
  Object.entries(properties).flatMap(([name, schema]) => {
    const key = prefix === '' ? name : `${prefix}.${name}`
    // With a default of its own nothing has to be written, whatever the schema of what comes in says.
    const isRequired = required.includes(name) && schema.default === undefined
    return [
      row(key, schema, isRequired),
      ...inside(schema).flatMap(({ suffix, fields }) => rows(key + suffix, fields)),
    ]
  })

const table = (lines) =>
  lines.length === 0 ? [] : ['| key | value | default | |', '|---|---|---|---|', ...lines, '']

const typeOf = ({ properties }) => properties?.type

/** The kinds of an entry that says by its `type` which it is. */
const kindsOf = ({ items, additionalProperties: rest }) => {
  const { oneOf = [] } = items ?? (typeof rest === 'object' ? rest : {})
  return oneOf.filter((each) => typeOf(each)?.const !== undefined)
}

const section = (name, schema, isRequired) => {
  const description = kindsOf(schema).length === 0 ? describe(schema) : (schema.description ?? '')
  const opening = [`## \`${name}\``, '', `${sentence(description)}${isRequired ? ' Required.' : ''}`, '']
  const kinds = kindsOf(schema)
  if (kinds.length === 0) {
    const nested = inside(schema).flatMap(({ suffix, fields }) =>
      rows(suffix.replace(/^[.[\]*]+/, ''), fields),
    )
    return [...opening, ...(nested.length > 0 ? table(nested) : table([row(name, schema, isRequired)]))]
  }
  return [
    ...opening,
    ...kinds.flatMap((kind) => {
      const { const: type, description: what = '' } = typeOf(kind)
      const { type: _type, ...properties } = kind.properties
      const intro = [kind.description, what].filter((text) => text !== undefined && text !== '').map(sentence)
      const heading = [`### \`${name}\`: \`type: ${type}\``, '', intro.join(' '), '']
      return [...heading, ...table(rows('', { ...kind, properties }))]
    }),
  ]
}

const page = (title, file, { properties = {}, required = [] }) => [
  `# ${title}`,
  '',
  file,
  '',
  ...Object.entries(properties).flatMap(([name, schema]) =>
    section(name, schema, required.includes(name) && schema.default === undefined),
  ),
]

/** Markdown of everything that a configuration may say. */
export const renderReference = (gateway, routes) =>
  `${[
    '<!-- Written by `npm run schema`. To change it, change the descriptions in the schemas under src/. -->',
    '',
    'Every field of the configuration. [docs/configuration.md](../docs/configuration.md) says how it is read and how to',
    'begin; [docs/route-map.md](../docs/route-map.md) shows route maps by example.',
    '',
    'A *duration* is `500ms`, `15s`, `5m` or `1h`; sizes are bytes; a *secret* is `{ env: NAME }` or `{ file: path }`, never text;',
    'paths are relative to the file that names them. `[]` in a key stands for each entry of a list, `.*` for each name of a map.',
    '',
    ...page(
      'The gateway',
      'What `config/sallyport.yaml` may say; it belongs to whoever runs the gateway.',
      gateway,
    ),
    ...page(
      'A route map',
      'What each file under `routes` may say; it belongs to the team that owns the routes.',
      routes,
    ),
  ]
    .join('\n')
    .trimEnd()}\n`

const readSchema = (name) => JSON.parse(readFileSync(join(root, 'config', name), 'utf8'))

/** The same from the schemas in config/. */
export const renderFromFiles = () =>
  renderReference(readSchema('sallyport.schema.json'), readSchema('routes.schema.json'))

if (process.argv[1] === fileURLToPath(import.meta.url)) process.stdout.write(renderFromFiles())
