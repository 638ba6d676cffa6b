import { escapeHtml } from '../core/escape-html.ts'

const STYLE =
  'body{font:1.1rem/1.5 system-ui,sans-serif;max-width:38rem;margin:4rem auto;padding:0 1rem}td,th{text-align:left;padding:.25rem 1.5rem .25rem 0}button{font:inherit;padding:.25rem 1rem;margin:0 .5rem .5rem 0}nav a{margin-right:1rem}'

/** A page of the demo. @param title escaped here. @param content HTML, which must be safe already. */
export const localPage = (title: string, content: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${content}</main>
</body>
</html>
`
