/** One element of a `Forwarded` field; names in lower case. */
export type ForwardedElement = ReadonlyMap<string, string>

const PAIR =
  /[ \t]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)|"((?:[^"\\]|\\.)*)")[ \t]*/y
const KNOWN: ReadonlySet<string> = new Set(['by', 'for', 'host', 'proto'])

/**
 * Reads a `Forwarded` field strictly; null when it is not what RFC 7239 says.
 *
 * Unknown and repeated parameters and empty elements are mistakes too: the peer is one that we trust to write
 * this field, so anything odd in it comes from elsewhere.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7239#section-4
 */
export const parseForwarded = (text: string): readonly ForwardedElement[] | null => {
  const elements: ForwardedElement[] = []
  let element = new Map<string, string>()
  let at = 0
  for (;;) {
    PAIR.lastIndex = at
    const found = PAIR.exec(text)
    if (found === null) return null
    const name = found[1]?.toLowerCase() ?? ''
    if (!KNOWN.has(name) || element.has(name)) return null
    element.set(name, found[2] ?? unquote(found[3] ?? ''))
    at = PAIR.lastIndex
    if (at < text.length && text[at] === ';') {
      at += 1
      continue
    }
    elements.push(element)
    if (at === text.length) return elements
    if (text[at] !== ',') return null
    element = new Map()
    at += 1
  }
}

const unquote = (quoted: string): string => quoted.replace(/\\(.)/g, '$1')
