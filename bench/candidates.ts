import { join } from 'node:path'
import { credentialCandidates } from './credential-subjects.ts'
import { engineCandidates } from './engine-subjects.ts'
import { caddyCommand, nginxCommand } from './peers.ts'
import { findCommand, freePort, nodeServer, type Running, startProcess } from './processes.ts'
import {
  type Candidate,
  CEDAR_WAYS,
  candidateOf,
  HTTP_PROXY,
  plain,
  type Start,
  type Subject,
  WAYS,
} from './subjects.ts'

const node =
  (name: string, file: string, ...args: readonly string[]) =>
  async (backendPort: number): Promise<Subject> => {
    const port = await freePort()
    return plain(
      name,
      port,
      await startProcess('subject', nodeServer(file, port, backendPort, ...args), port),
    )
  }

const startDecisionService = async (): Promise<readonly [number, Running]> => {
  const port = await freePort()
  return [port, await startProcess('subject', nodeServer('decision-service', port), port)]
}

const nginx =
  (file: string, name: string, asksFirst: boolean): Start =>
  async (backendPort, scratch) => {
    const port = await freePort()
    const folder = join(scratch, asksFirst ? 'nginx-auth' : 'nginx')
    const startProxy = (decisionPort: number) =>
      startProcess(
        'subject',
        nginxCommand(file, folder, { port, backendPort, decisionPort }, asksFirst ? 'service' : null),
        port,
      )
    if (!asksFirst) return plain(name, port, await startProxy(0))
    const [decisionPort, decisions] = await startDecisionService()
    return plain(name, port, await startProxy(decisionPort), decisions)
  }

const caddy =
  (file: string, name: string): Start =>
  async (backendPort, scratch) => {
    const port = await freePort()
    const [decisionPort, decisions] = await startDecisionService()
    const command = caddyCommand(file, join(scratch, 'caddy'), { port, backendPort, decisionPort })
    const home = join(scratch, 'caddy')
    const proxy = await startProcess('subject', command, port, {
      GOMAXPROCS: '1',
      XDG_DATA_HOME: home,
      XDG_CONFIG_HOME: home,
    })
    return plain(name, port, proxy, decisions)
  }

const peer = (command: string, name: string, make: (file: string) => Start): Candidate => {
  const file = findCommand(command)
  return { name, missing: file === null ? command : null, start: make(file ?? command) }
}

/** All that is measured, in the order of the table. */
export const candidates = (): readonly Candidate[] => [
  {
    name: 'the application alone',
    missing: null,
    start: async (backendPort) => plain('the application alone', backendPort),
  },
  { name: HTTP_PROXY, missing: null, start: node(HTTP_PROXY, 'http-proxy') },
  {
    name: 'http-proxy, kept connections',
    missing: null,
    start: node('http-proxy, kept connections', 'http-proxy', 'kept'),
  },
  { name: 'undici, bare', missing: null, start: node('undici, bare', 'undici-proxy') },
  ...[...WAYS, ...CEDAR_WAYS].map(candidateOf),
  ...engineCandidates(),
  ...credentialCandidates(),
  peer('nginx', 'nginx, bare', (file) => nginx(file, 'nginx, bare', false)),
  peer('nginx', 'nginx, auth_request', (file) => nginx(file, 'nginx, auth_request', true)),
  peer('caddy', 'Caddy, forward_auth', (file) => caddy(file, 'Caddy, forward_auth')),
]
