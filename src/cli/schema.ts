import type { Command } from 'commander'
import { gatewayJsonSchema, routesJsonSchema, testsJsonSchema } from '../config/json-schema.ts'
import type { CommandIo, Done } from './io.ts'

export const addSchema = (program: Command, io: CommandIo, _done: Done): void => {
  program
    .command('schema')
    .description('Prints the JSON Schema of the configuration, for editors.')
    .option('--routes', 'the schema of a route map instead of the gateway file')
    .option('--tests', 'the schema of a file of decision tests')
    .action((options: { readonly routes?: boolean; readonly tests?: boolean }) => {
      const ofMaps = options.routes === true ? routesJsonSchema : gatewayJsonSchema
      const schema = options.tests === true ? testsJsonSchema() : ofMaps()
      io.out(`${JSON.stringify(schema, null, 2)}\n`)
    })
}
