import { type Refusal, refuse } from '../../core/refusals.ts'

/** A body error that also says how to answer: `isRefusal` is true for it. */
export const bodyError = (refusal: Refusal): Error & Refusal =>
  Object.assign(new Error(refusal.detail), refusal)

/** What Node's parser says when it gives up; its other errors are of the socket. */
export const parserErrorCode = (error: object): string | null => {
  const code = 'code' in error && typeof error.code === 'string' ? error.code : ''
  return code.startsWith('HPE_') || code === 'ERR_HTTP_REQUEST_TIMEOUT' ? code : null
}

const MALFORMED = 'The request is not well-formed HTTP/1.1.'

/** How a request is answered that the parser gave up. */
export const refusalOfParser = (code: string): Refusal => {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return HEAD_LATE
    case 'HPE_HEADER_OVERFLOW':
      return HEAD_TOO_LARGE
    default:
      return refuse('accept', 'bad_request', `not well-formed HTTP/1.1 (${code})`, {
        publicDetail: MALFORMED,
      })
  }
}

export const HEAD_LATE = refuse('accept', 'request_timeout', 'the request did not arrive in time')

export const HEAD_TOO_LARGE = refuse(
  'accept',
  'headers_too_large',
  'the header block is over limits.headerBytes',
)

export const BODY_TOO_SLOW = refuse('accept', 'request_timeout', 'the body arrived too slowly')

export const NOT_FIRST = refuse(
  'accept',
  'bad_request',
  'a WebSocket handshake behind a request that is not answered yet',
  { publicDetail: 'A WebSocket handshake must wait for the answer to the request before it.' },
)

export const CONNECTION_LOST = refuse(
  'accept',
  'bad_request',
  'the connection was lost inside of the header block',
)

export const UNKNOWN_VERSION = refuse('accept', 'bad_request', 'an HTTP version other than 1.0 and 1.1', {
  publicDetail: 'The HTTP version is not supported.',
})

export const UNKNOWN_EXPECTATION = refuse(
  'accept',
  'expectation_failed',
  'an expectation other than 100-continue',
)
