import type { Carrier } from '../../core/carrier.ts'
import type { Preparation, Settings } from '../../core/settings.ts'
import { carrierCookie, carrierHeader, headerProblem } from './carriers.ts'

/** Where a token comes in: `header` or `cookie`. */
export const tokenCarrierFields = (_s: Settings) => ({
  header: carrierHeader()
    .optional()
    .describe('Header that carries the bare token, default Authorization with the scheme Bearer.'),
  cookie: carrierCookie()
    .optional()
    .describe('Cookie that carries the token, default Authorization with the scheme Bearer.'),
})

/** The one carrier of a token; reports what cannot be. */
export const tokenCarrier = (
  { header, cookie }: { readonly header?: string | undefined; readonly cookie?: string | undefined },
  preparation: Pick<Preparation, 'report'>,
): Carrier => {
  if (header !== undefined && cookie !== undefined) {
    const message = '"cookie" beside "header": a token comes in by one carrier only'
    preparation.report({ path: ['cookie'], atKey: true, message })
  }
  if (header !== undefined) {
    const problem = headerProblem(header)
    if (problem !== null) preparation.report({ path: ['header'], message: problem })
    return { kind: 'header', name: header.toLowerCase() }
  }
  return cookie === undefined ? { kind: 'authorization', scheme: 'Bearer' } : { kind: 'cookie', name: cookie }
}
