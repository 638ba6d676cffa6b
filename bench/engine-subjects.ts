import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { createIssuer, ISSUER } from './issuer.ts'
import { nginxCommand } from './peers.ts'
import { findCommand, freePort, type Running, startProcess } from './processes.ts'
import {
  type Candidate,
  plain,
  type Start,
  type Subject,
  sallyport,
  startSallyport,
  type Way,
} from './subjects.ts'

// Plain JavaScript, which the compiler leaves where it is.
const TOOLS = fileURLToPath(new URL('../../scripts/tools.mjs', import.meta.url))
const { findTool } = (await import(pathToFileURL(TOOLS).href)) as {
  readonly findTool: (command: string) => string | null
}

/** The bench's three Cedar policies, in Rego. */
const REGO = `package bench.authz

decision := {"decision": allow, "reasons": reasons}

default allow := false

allow if {
	count(permits) > 0
	not input.resource.id == "closed"
}

reasons := [reason | some reason in permits]

permits contains "clerks-read" if {
	input.action.name == "read"
	"clerks" in input.subject.properties.groups
}

permits contains "auditors-read" if {
	input.action.name == "read"
	"auditors" in input.subject.properties.groups
	input.context.sensitivity != "secret"
}
`

/** The same for whoever has nothing but the request: the token is verified here. */
const REGO_OF_HTTP = `package bench.http

allow := true if {
	input.method == "GET"
	startswith(input.path, "/accounts/")
	token := substring(input.authorization, count("Bearer "), -1)
	[valid, _, claims] := io.jwt.decode_verify(token, {"cert": data.bench.jwks, "iss": "${ISSUER}", "aud": "bank"})
	valid
	"clerks" in claims.groups
}
`

const CERBOS = `apiVersion: api.cerbos.dev/v1
resourcePolicy:
  resource: Account
  version: default
  rules:
    - name: clerks-read
      actions: [read]
      effect: EFFECT_ALLOW
      roles: [User]
      condition: { match: { expr: '"clerks" in P.attr.groups' } }
    - name: closed-accounts
      actions: ["*"]
      effect: EFFECT_DENY
      roles: ["*"]
      condition: { match: { expr: R.id == "closed" } }
`

const way = (name: string, engine: string): Way => ({
  name: `Sallyport, ${name} every time`,
  path: '/accounts/42',
  grants: 'none',
  freshTokens: false,
  engine,
})

/** On the gateway's own core, as a sidecar shares what the pod has. */
const startOpa = async (opa: string, folder: string, files: Readonly<Record<string, string>>) => {
  mkdirSync(folder, { recursive: true })
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  const port = await freePort()
  const command = [opa, 'run', '--server', '--addr', `127.0.0.1:${port}`, '--log-level', 'error']
  const running = await startProcess('subject', [...command, '--disable-telemetry', folder], port, ONE_CORE)
  return { running, port }
}

const ONE_CORE = { GOMAXPROCS: '1' }

/** The subject, and what it needs beside itself: the processor time of both counts. */
const together = (subject: Subject, beside: Running): Subject => ({
  ...subject,
  pids: [...subject.pids, beside.pid],
  stop: async () => {
    await Promise.all([subject.stop(), beside.stop()])
  },
})

const byOpa =
  (opa: string): Start =>
  async (backendPort, scratch) => {
    const { running, port } = await startOpa(opa, join(scratch, 'opa'), { 'bench.rego': REGO })
    const engine = `{ type: opa, url: "http://127.0.0.1:${port}", path: bench/authz/decision, policyVersion: bench }`
    return together(await sallyport(way('OPA', engine))(backendPort), running)
  }

const byWasm =
  (opa: string): Start =>
  async (backendPort, scratch) => {
    const folder = join(scratch, 'wasm')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'bench.rego'), REGO)
    const bundle = join(folder, 'bundle.tar.gz')
    execFileSync(opa, ['build', '-t', 'wasm', '-e', 'bench/authz/decision', '-o', bundle, 'bench.rego'], {
      cwd: folder,
    })
    const engine = `{ type: opa-wasm, bundle: "${bundle}", entrypoint: bench/authz/decision }`
    return sallyport(way('Rego in wasm', engine))(backendPort)
  }

const byCerbos =
  (cerbos: string): Start =>
  async (backendPort, scratch) => {
    const folder = join(scratch, 'cerbos')
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, 'account.yaml'), CERBOS)
    const [port, grpcPort] = [await freePort(), await freePort()]
    const settings = [
      ...['storage.driver=disk', `storage.disk.directory=${folder}`, 'telemetry.disabled=true'],
      ...[`server.httpListenAddr=127.0.0.1:${port}`, `server.grpcListenAddr=127.0.0.1:${grpcPort}`],
    ]
    const command = [cerbos, 'server', '--log-level=error', ...settings.map((setting) => `--set=${setting}`)]
    const running = await startProcess('subject', command, port, ONE_CORE)
    const engine = `{ type: authzen, url: "http://127.0.0.1:${port}", policyVersion: bench }`
    return together(await sallyport(way('Cerbos', engine))(backendPort), running)
  }

const nginxToSallyport =
  (nginx: string): Start =>
  async (backendPort, scratch) => {
    const gateway = await startSallyport({
      backendPort,
      routes: 200,
      grants: 'ttl: 5m',
      speaks: 'forward-auth',
    })
    const port = await freePort()
    const ports = { port, backendPort, decisionPort: gateway.port }
    const command = nginxCommand(nginx, join(scratch, 'nginx-sallyport'), ports, 'sallyport')
    const proxy = await startProcess('subject', command, port)
    const token = gateway.world.token('alice')
    return { ...plain('nginx, auth_request to Sallyport', port, proxy, gateway), tokens: () => [token] }
  }

const nginxToOpa =
  (nginx: string, opa: string): Start =>
  async (backendPort, scratch) => {
    const { jwks, token } = createIssuer()
    const data = JSON.stringify({ bench: { jwks } })
    const files = { 'http.rego': REGO_OF_HTTP, 'data.json': data }
    const { running, port: decisionPort } = await startOpa(opa, join(scratch, 'opa-http'), files)
    const port = await freePort()
    const command = nginxCommand(
      nginx,
      join(scratch, 'nginx-opa'),
      { port, backendPort, decisionPort },
      'opa',
    )
    const proxy = await startProcess('subject', command, port)
    const one = token('alice')
    return { ...plain('nginx, auth_request to OPA', port, proxy, running), tokens: () => [one] }
  }

/** Each policy engine behind the gateway, and the gateway behind nginx, beside OPA in the same place. */
export const engineCandidates = (): readonly Candidate[] => {
  const [opa, cerbos, nginx] = [findTool('opa'), findTool('cerbos'), findCommand('nginx')]
  const candidate = (
    name: string,
    needed: Readonly<Record<string, string | null>>,
    start: Start,
  ): Candidate => ({
    name,
    missing: Object.keys(needed).find((command) => needed[command] === null) ?? null,
    start,
  })
  return [
    candidate('Sallyport, OPA every time', { opa }, byOpa(opa ?? '')),
    candidate('Sallyport, Rego in wasm every time', { opa }, byWasm(opa ?? '')),
    candidate('Sallyport, Cerbos every time', { cerbos }, byCerbos(cerbos ?? '')),
    candidate('nginx, auth_request to Sallyport', { nginx }, nginxToSallyport(nginx ?? '')),
    candidate('nginx, auth_request to OPA', { nginx, opa }, nginxToOpa(nginx ?? '', opa ?? '')),
  ]
}
