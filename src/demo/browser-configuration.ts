import { readFile, writeFile } from 'node:fs/promises'
import { LOGIN_CLIENT } from './login-provider.ts'

const ISSUER = 'https://idp.demo.example'
const ENGINES = '\nengines:\n'
const CALLERS = 'authenticate: [staff] }'
const ROUTES = '\nroutes:\n'

const browserOf = (issuer: string): string => `
  # People come by a browser, too: a page sends them to sign in where the tokens are from. They are the same people,
  # so that their subjects are the same.
  browser:
    type: oidc
    issuer: ${issuer}
    clientId: ${LOGIN_CLIENT}
    secrets: [{ file: secrets/sessions }]
    afterLogout: /
    subject:
      type: User
      id: $claims.sub
      properties: { groups: $claims.?groups }
`

const PAGES = `
  - name: home
    match: GET /
    evaluation:
      action: use
      resource: { type: Application, id: bank }
    headers: { X-Remote-User: $subject.id }

  - name: open-account
    match: GET /open
    evaluation:
      action: use
      resource: { type: Application, id: bank }
    headers: { X-Remote-User: $subject.id }
`

/**
 * Adds the sign-in by browser to the text of `sallyport.yaml`, at the provider of the demo.
 *
 * It is not in the repository's, which has to run without a provider. Throws when it is not what it expects.
 */
export const withBrowsers = (config: string, issuer: string): string =>
  edit(edit(config, ENGINES, `${browserOf(issuer)}${ENGINES}`), ISSUER, issuer)

/** Adds the bank's pages to a route map, and lets browsers in wherever tokens are. Throws as `withBrowsers` does. */
export const addPages = async (file: string): Promise<void> => {
  const routes = await readFile(file, 'utf8')
  const open = edit(routes, CALLERS, 'authenticate: [staff, browser] }')
  await writeFile(file, edit(open, ROUTES, `${ROUTES.trimEnd()}${PAGES}\n`))
}

const edit = (text: string, found: string, replacement: string): string => {
  if (!text.includes(found)) throw new Error(`the demo's configuration: expected ${JSON.stringify(found)}`)
  return text.replace(found, () => replacement)
}
