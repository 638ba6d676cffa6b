import type { Command } from 'commander'
import { gatewayJsonSchema, routesJsonSchema } from '../config/json-schema.ts'
import type { CommandIo, Done } from './io.ts'

export const addSchema = (program: Command, io: CommandIo, _done: Done): void => {
  program
    .command('schema')
    .description('Prints the JSON Schema of the configuration, for editors.')
    .option('--routes', 'the schema of a route map instead of the gateway file')
    .action((options: { readonly routes?: boolean }) => {
      const schema = options.routes === true ? routesJsonSchema() : gatewayJsonSchema()
      io.out(`${JSON.stringify(schema, null, 2)}\n`)
    })
}
