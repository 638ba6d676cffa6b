const PATH = /^\/[\x21-\x5b\x5d-\x7e]*$/
const MOST_CHARACTERS = 1500
const ANYWHERE = 'https://anywhere.invalid'

/**
 * Where a browser may be sent after a sign-in: a path of the same origin, as browsers read it, and none of our own.
 *
 * @returns the text as it came; null when it could lead elsewhere, or is too long to be kept.
 */
export const returnTarget = (text: string): string | null => {
  if (text.length > MOST_CHARACTERS || !PATH.test(text) || !URL.canParse(text, ANYWHERE)) return null
  const { origin, pathname } = new URL(text, ANYWHERE)
  if (origin !== ANYWHERE || pathname.startsWith('//')) return null
  const folded = pathname.toLowerCase()
  return folded === '/.sallyport' || folded.startsWith('/.sallyport/') ? null : text
}
