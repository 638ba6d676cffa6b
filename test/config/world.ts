import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import type { LoadResult } from '../../src/config/configuration.ts'
import { loadConfiguration } from '../../src/config/load.ts'
import { systemClock } from '../../src/core/clock.ts'
import type { Log } from '../../src/core/log.ts'

const silent = (): void => undefined

export const silentLog: Log = { debug: silent, info: silent, warn: silent, error: silent }

export type Files = Readonly<Record<string, string | Buffer>>

export const GATEWAY = 'sallyport.yaml'
export const ROUTES = 'routes/bank.yaml'

/** A configuration without a mistake, a file of every sort. */
export const SOUND: Files = {
  [GATEWAY]: `version: 1
listeners: [{ bind: "127.0.0.1:8080" }]
authenticators:
  staff: { type: jwt, issuer: https://idp.example.com, audience: bank, jwksFile: jwks.json }
  partners: { type: api-key, header: X-Api-Key, keysFile: keys.yaml }
engines:
  bank: { type: cedar, policies: [policies/*.cedar], schema: bank.cedarschema }
upstreams:
  core: { url: "http://127.0.0.1:9000" }
secrets:
  backend: { env: BACKEND }
audit:
  - { type: file, path: log/decisions.ndjson }
routes:
  - routes/*.yaml
`,
  [ROUTES]: `defaults: { host: bank.example.com, upstream: core, engine: bank, authenticate: [staff] }
routes:
  - name: read-account
    match: GET /accounts/{id}
    evaluation:
      action: read
      resource: { type: Account, id: $path.id }
  - name: health
    match: GET /health
    access: public
`,
  'policies/bank.cedar': `@id("owner-read")
permit (principal is User, action == Action::"read", resource is Account);
`,
  'bank.cedarschema': `entity User;
entity Partner;
entity Account;
action read appliesTo { principal: [User, Partner], resource: Account };
`,
  'jwks.json': JSON.stringify({
    keys: [
      {
        kty: 'EC',
        x: 'ZlXhVEBge7OUKlSgNMPHfE-rQw_6xg-0hZomdj2N5CI',
        y: '9rWVfQo4maDxXZ01GH0O2umG4_0w3EeJLNlXfR1XGSU',
        crv: 'P-256',
        kid: 'one',
        alg: 'ES256',
        use: 'sig',
      },
    ],
  }),
  'keys.yaml': `keys:
  - id: acme-1
    hash: sha256:7b4e9a341c0bd0904979d2d8b0338629b7e338e18ea6aa5ecbdabd2ce6bf1b87
    subject: { type: Partner, id: acme }
`,
}

export const ENV: Readonly<Record<string, string>> = { BACKEND: 'hunter2-hunter2' }

export interface Loaded extends LoadResult {
  /** `file:line:column: severity: message`, the file relative to the world. */
  readonly lines: readonly string[]
}

/** Loads a world of files from a directory of its own, which is gone afterwards. */
export const loadWorld = async (
  files: Files,
  env: Readonly<Record<string, string>> = ENV,
): Promise<Loaded> => {
  const directory = mkdtempSync(join(tmpdir(), 'sallyport-config-'))
  try {
    for (const [path, content] of Object.entries(files)) {
      const file = join(directory, path)
      mkdirSync(dirname(file), { recursive: true })
      writeFileSync(file, content)
    }
    const loaded = await loadConfiguration(join(directory, GATEWAY), {
      env,
      clock: systemClock,
      log: silentLog,
    })
    const lines = loaded.findings.map(
      ({ file, line, column, severity, message }) =>
        `${relative(directory, file)}:${line}:${column}: ${severity}: ${message}`,
    )
    return { ...loaded, lines }
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}
