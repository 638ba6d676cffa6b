import type { Configuration } from 'oidc-provider'
import { type HttpBackend, startHttpBackend } from '../../../support/backend.ts'
import { startTestGateway, type TestGateway } from '../../../support/gateway.ts'
import {
  CLIENT_ID,
  CLIENT_SECRET,
  type IdentityProvider,
  openIdentityProvider,
} from '../../../support/identity-provider.ts'
import { createVisitor, type Visited, type Visitor } from '../../../support/visitor.ts'

export interface OidcWorld {
  readonly provider: IdentityProvider
  readonly gateway: TestGateway
  /** `http://localhost:<port>`. */
  readonly url: string
  readonly logLines: readonly string[]
  /** The requests that reached the application: its method, path and `Cookie`. */
  readonly seen: readonly SeenRequest[]
  /** Signs in by the pages of the provider. */
  readonly signIn: (visitor: Visitor, name: string, path?: string) => Promise<Visited>
  readonly close: () => Promise<void>
}

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly cookie: string | null
  readonly user: string
}

const gatewayConfig = (
  issuer: string,
  backend: string,
  more: string,
  listeners = '',
  settings = '',
): string => `
version: 1
listeners: [{ bind: 127.0.0.1:0 }${listeners}]
admin: { bind: 127.0.0.1:0, token: { env: ADMIN_TOKEN } }
authenticators:
  browser:
    type: oidc
    issuer: ${issuer}
    clientId: ${CLIENT_ID}
    clientSecret: { env: OIDC_SECRET }
${more}
engines:
  bank: { type: cedar, policies: [../policies/*.cedar] }
audit: [{ type: file, path: ../log/decisions.ndjson }]
upstreams: { bank: { url: "${backend}" } }
routes: [routes/*.yaml]
${settings}
`

const ROUTES = `
defaults: { host: localhost, upstream: bank, engine: bank, authenticate: [browser] }
routes:
  - name: everything
    match: { methods: [GET, POST, PUT, DELETE], path: '/{*rest}' }
    evaluation: { action: use, resource: { type: Page, id: $path.rest } }
    headers: { X-Remote-User: $subject.id }
  - { name: goodbye, match: GET /goodbye, access: public }
`

export interface OidcWorldOptions {
  /** More listeners, each with a comma before it. */
  readonly listeners?: string
  /** More lines of the gateway's file. */
  readonly settings?: string
  /** More files, by path. */
  readonly files?: Readonly<Record<string, string>>
  /** More lines of the authenticator, indented by four blanks. */
  readonly authenticator?: string
  readonly provider?: Configuration
  readonly env?: Readonly<Record<string, string>>
  readonly routes?: string
  readonly policy?: string
  /** Instead of one that says who sees what; closed with the world. */
  readonly backend?: Pick<HttpBackend, 'url' | 'close'>
}

/** A gateway in front of an application, and the provider by which people sign in. */
export const startOidcWorld = async (options: OidcWorldOptions = {}): Promise<OidcWorld> => {
  const seen: SeenRequest[] = []
  const backend: Pick<HttpBackend, 'url' | 'close'> =
    options.backend ??
    (await startHttpBackend(({ method = '', url = '', headers }, response) => {
      const user = String(headers['x-remote-user'] ?? '')
      seen.push({ method, path: url, cookie: headers.cookie ?? null, user })
      response.setHeader('Cache-Control', 'public, max-age=60').end(`${user} sees ${url}`)
    }))
  const provider = await openIdentityProvider()
  const logLines: string[] = []
  const gateway = await startTestGateway(
    {
      'config/sallyport.yaml': gatewayConfig(
        provider.issuer,
        backend.url,
        options.authenticator ?? '',
        options.listeners,
        options.settings,
      ),
      'config/routes/bank.yaml': options.routes ?? ROUTES,
      'policies/bank.cedar': options.policy ?? 'permit (principal, action, resource);',
      'log/.keep': '',
      ...options.files,
    },
    {
      env: { OIDC_SECRET: CLIENT_SECRET, ADMIN_TOKEN: 'a-token-for-the-admin-port', ...options.env },
      logLines,
    },
  )
  const url = `http://localhost:${gateway.port}`
  await provider.serve(url, options.provider)
  return {
    provider,
    gateway,
    url,
    logLines,
    seen,
    signIn: (visitor, name, path = '/accounts/1') => signIn(visitor, `${url}${path}`, name),
    close: async () => {
      await gateway.close()
      await provider.close()
      await backend.close()
    },
  }
}

const signIn = async (visitor: Visitor, url: string, name: string): Promise<Visited> => {
  const form = await visitor.follow(url)
  const [, action] = /<form[^>]* action="([^"]+)"/.exec(form.body) ?? []
  if (action === undefined) throw new Error(`no form at ${form.url}: ${form.status} ${form.body}`)
  return visitor.follow(new URL(action, form.url).href, {
    form: { prompt: 'login', login: name, password: 'any' },
  })
}

/** The state of a sign-in that was begun but not ended: where the provider sends the browser back to. */
export const beginSignIn = async (visitor: Visitor, world: OidcWorld, name: string, path = '/a') => {
  const form = await visitor.follow(`${world.url}${path}`)
  const [, action = ''] = /<form[^>]* action="([^"]+)"/.exec(form.body) ?? []
  const last = await visitor.follow(new URL(action, form.url).href, {
    form: { prompt: 'login', login: name, password: 'any' },
    stop: (location) => location.includes('/.sallyport/callback'),
  })
  if (last.location === null) throw new Error(`the provider does not lead back: ${last.status} ${last.body}`)
  return last.location
}

/** The session cookies that a visitor has. */
export const sessionOf = (visitor: Visitor, world: OidcWorld): readonly string[] =>
  [...visitor.cookies(world.url)].flatMap(([name, value]) =>
    /^sallyport-browser(\.\d)?$/.test(name) ? [value] : [],
  )

export const newVisitor = (): Visitor => createVisitor()
