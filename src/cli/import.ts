import { readFileSync, statSync, writeFileSync } from 'node:fs'
import type { Command } from 'commander'
import { MAX_DOCUMENT_BYTES, readOpenApi } from '../config/openapi/document.ts'
import { operationsOf } from '../config/openapi/operations.ts'
import { type ImportNames, writeRouteMap, writeTests } from '../config/openapi/write-map.ts'
import { type CommandIo, type Done, EXIT } from './io.ts'

interface ImportOptions {
  readonly upstream: string
  readonly engine: string
  readonly authenticate: string
  readonly owner?: string
  readonly host?: string
  readonly tests?: string | true
}

const HELP = `
Nothing that the document refers to elsewhere is fetched. No route becomes public. Exits 0, or 2 when the document
cannot be read. See docs/import.md.`

export const addImport = (program: Command, io: CommandIo, done: Done): void => {
  program
    .command('import')
    .description('Makes a route map of a description of an application.')
    .command('openapi')
    .argument('<file>', 'an OpenAPI 3.0 or 3.1 document, in YAML or JSON')
    .description('Prints a route map with one route for each operation.')
    .option('--upstream <name>', 'upstream of the routes', 'app')
    .option('--engine <name>', 'engine of the routes', 'main')
    .option('--authenticate <names>', 'authenticators of the routes, separated by commas', 'staff')
    .option('--owner <name>', 'owner of the route map')
    .option('--host <host>', "host of the routes, default that of the document's servers")
    .option('--tests [file]', 'write decision tests to this file; without it, print them and not the map')
    .addHelpText('after', HELP)
    .action((file: string, options: ImportOptions) => {
      const text = readDocument(file)
      const document = 'mistake' in text ? text : readOpenApi(text.text)
      if ('mistake' in document) {
        io.err(`${file}: ${document.mistake}\n`)
        return done(EXIT.usage)
      }
      const notes: string[] = []
      const operations = operationsOf(document, (note) => notes.push(note))
      const names: ImportNames = {
        upstream: options.upstream,
        engine: options.engine,
        authenticate: options.authenticate.split(',').map((name) => name.trim()),
        owner: options.owner ?? null,
        host: options.host ?? null,
      }
      for (const note of notes) io.err(`${file}: left out: ${note}\n`)
      if (options.tests === true) return io.out(writeTests(operations, names))
      if (options.tests !== undefined) {
        const unwritten = write(options.tests, writeTests(operations, names))
        if (unwritten !== null) {
          io.err(`--tests: ${unwritten}\n`)
          return done(EXIT.usage)
        }
      }
      io.out(writeRouteMap(document, operations, notes, names))
    })
}

const readDocument = (file: string): { readonly text: string } | { readonly mistake: string } => {
  try {
    if (statSync(file).size > MAX_DOCUMENT_BYTES)
      return { mistake: `it has more than ${MAX_DOCUMENT_BYTES} bytes` }
    return { text: readFileSync(file, 'utf8').replace(/^\ufeff/, '') }
  } catch (error) {
    return { mistake: `it cannot be read: ${error instanceof Error ? error.message : String(error)}` }
  }
}

const write = (file: string, text: string): string | null => {
  try {
    writeFileSync(file, text)
    return null
  } catch (error) {
    return `cannot write ${file}: ${error instanceof Error ? error.message : String(error)}`
  }
}
