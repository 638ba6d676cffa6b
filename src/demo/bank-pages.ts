import { escapeHtml } from '../core/escape-html.ts'
import type { Account } from './ledger.ts'
import { localPage } from './local-page.ts'

/** Where whoever is signed in by a browser signs out: the gateway answers it. */
const SIGN_OUT = '<a href="/.sallyport/logout">Sign out</a>'

/** The bank as people see it: the accounts of whoever it is told has come. */
export const homePage = (user: string, own: readonly Account[]): string => {
  const rows = own.map(
    ({ id, balanceCents }) => `<tr><td>${linkTo(id)}</td><td>${money(balanceCents)}</td></tr>\n`,
  )
  const table = `<table>\n<tr><th>Account</th><th>Balance</th></tr>\n${rows.join('')}</table>\n`
  return localPage(
    'The bank',
    `<p>Good day <strong id="user">${escapeHtml(user)}</strong>.</p>
${own.length === 0 ? '<p>You have no account here.</p>\n' : table}<form action="/open"><label>Open any account by its number <input name="number" required></label> <button>Open</button></form>
<nav>${SIGN_OUT}</nav>
`,
  )
}

export const accountPage = (user: string, { id, owner, balanceCents }: Account): string =>
  localPage(
    `Account ${id}`,
    `<table>
<tr><th>Owner</th><td id="owner">${escapeHtml(owner)}</td></tr>
<tr><th>Balance</th><td>${money(balanceCents)}</td></tr>
</table>
<nav><a href="/">Back</a> ${escapeHtml(user)}: ${SIGN_OUT}</nav>
`,
  )

const linkTo = (id: string): string => `<a href="/accounts/${escapeHtml(id)}">${escapeHtml(id)}</a>`

const money = (cents: number): string => (cents / 100).toFixed(2)
