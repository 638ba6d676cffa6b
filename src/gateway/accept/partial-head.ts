/** What can be told of a request head that the parser refused; empty where nothing can. */
export interface PartialHead {
  readonly method: string
  readonly target: string
  readonly httpVersion: '1.0' | '1.1'
  /** Complete field lines that look like such; flat name, value pairs. */
  readonly headers: readonly string[]
}

const METHOD = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}$/
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/
const VERSION = / HTTP\/[0-9](?:\.[0-9])?$/

/**
 * Reads as much of a request head as is there, to record and answer it. Never used to decide.
 *
 * @param text Latin-1.
 */
export const readPartialHead = (text: string): PartialHead => {
  const lines = text.replace(/^[\r\n]+/, '').split('\n')
  // The last piece has no line end yet.
  const unfinished = lines.pop() ?? ''
  const requestLine = (lines[0] ?? unfinished).replace(/\r$/, '')
  const space = requestLine.indexOf(' ')
  const method = space === -1 ? '' : requestLine.slice(0, space)
  if (!METHOD.test(method)) return { method: '', target: '', httpVersion: '1.1', headers: [] }
  const target = requestLine
    .slice(space + 1)
    .replace(VERSION, '')
    .trim()
  const headers: string[] = []
  for (const line of lines.slice(1).map((text) => text.replace(/\r$/, ''))) {
    if (line === '') break
    const [, name, value] = FIELD.exec(line) ?? []
    if (name !== undefined && value !== undefined) headers.push(name, value)
  }
  return { method, target, httpVersion: requestLine.endsWith(' HTTP/1.0') ? '1.0' : '1.1', headers }
}
