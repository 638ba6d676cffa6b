import type { Command } from 'commander'
import { createPathTree } from '../config/learn/path-tree.ts'
import { readRequest } from '../config/learn/read-request.ts'
import type { Operation } from '../config/openapi/operations.ts'
import { importPath, uniqueName } from '../config/openapi/path.ts'
import { writeRouteMap } from '../config/openapi/write-map.ts'
import { errorCode } from '../gateway/record/error-code.ts'
import { readLog } from '../gateway/record/read-log.ts'
import { type CommandIo, type Done, EXIT } from './io.ts'

interface LearnOptions {
  readonly upstream: string
  readonly engine: string
  readonly authenticate: string
  readonly host?: string
  readonly atLeast: string
}

export const addLearn = (program: Command, io: CommandIo, done: Done): void => {
  program
    .command('learn')
    .argument('<logs...>', 'access logs (common or combined log format), or decision logs')
    .description(
      'Proposes a route map: a route for each method and path that was seen, values in paths left open.',
    )
    .option('--upstream <name>', 'upstream of the routes', 'app')
    .option('--engine <name>', 'engine of the routes', 'main')
    .option('--authenticate <names>', 'authenticators of the routes, separated by commas', 'staff')
    .option('--host <host>', 'host of the routes, default the one host of a decision log')
    .option('--at-least <count>', 'leave out what was seen less often', '1')
    .action(async (logs: readonly string[], options: LearnOptions) => {
      const tree = createPathTree()
      const hosts = new Set<string | null>()
      for (const log of logs) {
        try {
          await readLog(log, ({ bytes }) => {
            const request = bytes === null ? null : readRequest(bytes.toString('utf8'))
            if (request === null) return true
            tree.add(request.method, request.path)
            if (hosts.size < 2) hosts.add(request.host)
            return true
          })
        } catch (error) {
          io.err(`sallyport learn: ${log} cannot be read: ${errorCode(error)}\n`)
          return done(EXIT.usage)
        }
      }
      const seen = tree.list().filter(({ count }) => count >= Number(options.atLeast))
      const [only = null] = hosts
      const document = { root: { info: { title: 'what was seen in logs' } }, resolve: () => undefined }
      const names = {
        upstream: options.upstream,
        engine: options.engine,
        authenticate: options.authenticate.split(',').map((name) => name.trim()),
        owner: null,
        host: options.host ?? (hosts.size === 1 ? only : null),
      }
      const notes = tree.dropped() === 0 ? [] : [`${tree.dropped()} requests, of too many different paths`]
      io.out(writeRouteMap(document, operationsOf(seen), notes, names, 'learn'))
      if (seen.length === 0) done(EXIT.findings)
    })
}

const operationsOf = (seen: ReturnType<ReturnType<typeof createPathTree>['list']>): readonly Operation[] => {
  const names = new Set<string>()
  const all = new Set(seen.map(({ method, path }) => `${method} ${path}`))
  return seen.flatMap(({ method, path, count }): readonly Operation[] => {
    // HEAD follows GET.
    const template = method === 'HEAD' && all.has(`GET ${path}`) ? null : importPath(path)
    if (template === null) return []
    const words = path.replaceAll(/[{}]/g, '').split('/').filter(Boolean)
    return [
      {
        name: uniqueName([method.toLowerCase(), ...words].join('-').slice(0, 150), names),
        method,
        path: template,
        host: null,
        security: null,
        mapping: null,
        examples: new Map(),
        deprecated: false,
        summary: `Seen ${count} times.`,
      },
    ]
  })
}
