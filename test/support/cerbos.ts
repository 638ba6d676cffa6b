import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { repositoryRoot } from '../house/source-files.ts'
import { layOut, type World } from './gateway.ts'
import { freePort, type ServerProcess, startServerProcess } from './server-process.ts'

// Plain JavaScript, which the compiler leaves where it is.
const { findTool } = await import(pathToFileURL(join(repositoryRoot, 'scripts', 'tools.mjs')).href)
const cerbosCommand: string | null = findTool('cerbos')

/** What a test that needs the program gives as its `skip`. */
export const withoutCerbos: string | false = cerbosCommand === null ? 'cerbos is not installed' : false

/** Starts Cerbos with the policies of some files. */
export const startCerbos = async (policies: World, port?: number): Promise<ServerProcess> => {
  if (cerbosCommand === null) throw new Error('cerbos is not installed')
  const directory = layOut(policies)
  const grpc = await freePort()
  return startServerProcess({
    command: cerbosCommand,
    args: (chosen) => [
      'server',
      '--log-level=error',
      ...[
        'storage.driver=disk',
        `storage.disk.directory=${directory}`,
        `server.httpListenAddr=127.0.0.1:${chosen}`,
        `server.grpcListenAddr=127.0.0.1:${grpc}`,
        'telemetry.disabled=true',
      ].map((setting) => `--set=${setting}`),
    ],
    healthPath: '/_cerbos/health',
    ...(port === undefined ? {} : { port }),
  })
}
