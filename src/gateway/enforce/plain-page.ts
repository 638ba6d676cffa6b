import { createHash } from 'node:crypto'
import { escapeHtml } from '../../core/escape-html.ts'

const STYLE =
  'body{font:1.1rem/1.5 system-ui,sans-serif;max-width:38rem;margin:4rem auto;padding:0 1rem}dt{font-weight:600}dd{margin:0 0 .5rem;overflow-wrap:anywhere}'

/** Lets such a page load nothing, run nothing and be framed by nobody. */
export const PAGE_POLICY = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ')

/** One fact on a page: its name, and its value in the type of a machine unless it is said otherwise. */
export interface Fact {
  readonly name: string
  readonly value: string
  readonly plain?: boolean
}

/** A page of the gateway's own, complete in itself. Every text is escaped. */
export const plainPage = (page: {
  readonly title: string
  readonly heading: string
  readonly text: string | null
  readonly facts: readonly Fact[]
}): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(page.title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escapeHtml(page.heading)}</h1>
${page.text === null ? '' : `<p>${escapeHtml(page.text)}</p>\n`}${listOf(page.facts)}</main>
</body>
</html>
`

const listOf = (facts: readonly Fact[]): string =>
  facts.length === 0 ? '' : `<dl>\n${facts.map(lineOf).join('')}</dl>\n`

const lineOf = ({ name, value, plain = false }: Fact): string => {
  const shown = plain ? escapeHtml(value) : `<code>${escapeHtml(value)}</code>`
  return `<dt>${escapeHtml(name)}</dt><dd>${shown}</dd>\n`
}
