import { z } from 'zod'
import type { Settings } from '../core/settings.ts'
import { decisionTestsSchema } from './decision-tests/schema.ts'
import { gatewaySchema } from './gateway-schema.ts'
import { routesSchema } from './routes-schema.ts'
import { createSettings } from './settings.ts'

const settings = (): Settings =>
  createSettings({ file: () => '/', env: {}, readSecret: () => 'nothing is read for a schema' })

const toJsonSchema = (schema: z.ZodType, title: string): object => ({
  $schema: 'http://json-schema.org/draft-07/schema#',
  title,
  ...z.toJSONSchema(schema, { io: 'input', target: 'draft-7' }),
})

/** JSON Schema (draft-07, which editors know best) of the gateway file. */
export const gatewayJsonSchema = (): object =>
  toJsonSchema(gatewaySchema(settings()), 'Sallyport: the gateway (sallyport.yaml)')

/** JSON Schema (draft-07) of a route map. */
export const routesJsonSchema = (): object =>
  toJsonSchema(routesSchema(settings()), 'Sallyport: a route map (routes/*.yaml)')

/** JSON Schema (draft-07) of a file of decision tests. */
export const testsJsonSchema = (): object =>
  toJsonSchema(decisionTestsSchema(), 'Sallyport: decision tests (tests/*.yaml, *.test.yaml)')
