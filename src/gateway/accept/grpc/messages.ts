import protobuf from 'protobufjs'

/**
 * The part of Envoy's external authorization that is read and written here, by the field numbers that Envoy publishes.
 *
 * @see https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/auth/v3/external_auth.proto
 */
const SCHEMA = {
  nested: {
    CheckRequest: { fields: { attributes: { type: 'Attributes', id: 1 } } },
    Attributes: { fields: { source: { type: 'Peer', id: 1 }, request: { type: 'Request', id: 4 } } },
    Peer: { fields: { address: { type: 'Address', id: 1 } } },
    Address: { fields: { socketAddress: { type: 'SocketAddress', id: 1 } } },
    SocketAddress: { fields: { address: { type: 'string', id: 2 } } },
    Request: { fields: { http: { type: 'HttpRequest', id: 2 } } },
    HttpRequest: {
      fields: {
        method: { type: 'string', id: 2 },
        headers: { keyType: 'string', type: 'string', id: 3 },
        path: { type: 'string', id: 4 },
        host: { type: 'string', id: 5 },
        scheme: { type: 'string', id: 6 },
        query: { type: 'string', id: 7 },
        fragment: { type: 'string', id: 8 },
        size: { type: 'int64', id: 9 },
        body: { type: 'string', id: 11 },
        rawBody: { type: 'bytes', id: 12 },
        headerMap: { type: 'HeaderMap', id: 13 },
      },
    },
    HeaderMap: { fields: { headers: { rule: 'repeated', type: 'HeaderValue', id: 1 } } },
    HeaderValue: {
      fields: {
        key: { type: 'string', id: 1 },
        value: { type: 'string', id: 2 },
        rawValue: { type: 'bytes', id: 3 },
      },
    },
    CheckResponse: {
      fields: {
        status: { type: 'Status', id: 1 },
        deniedResponse: { type: 'DeniedResponse', id: 2 },
        okResponse: { type: 'OkResponse', id: 3 },
        dynamicMetadata: { type: 'Struct', id: 4 },
      },
    },
    Status: { fields: { code: { type: 'int32', id: 1 } } },
    DeniedResponse: {
      fields: {
        status: { type: 'HttpStatus', id: 1 },
        headers: { rule: 'repeated', type: 'HeaderOption', id: 2 },
        body: { type: 'string', id: 3 },
      },
    },
    OkResponse: {
      fields: {
        headers: { rule: 'repeated', type: 'HeaderOption', id: 2 },
        headersToRemove: { rule: 'repeated', type: 'string', id: 5 },
        responseHeadersToAdd: { rule: 'repeated', type: 'HeaderOption', id: 6 },
      },
    },
    HttpStatus: { fields: { code: { type: 'int32', id: 1 } } },
    HeaderOption: {
      fields: { header: { type: 'HeaderValue', id: 1 }, append: { type: 'BoolValue', id: 2 } },
    },
    BoolValue: { fields: { value: { type: 'bool', id: 1 } } },
    Struct: { fields: { fields: { keyType: 'string', type: 'Value', id: 1 } } },
    Value: { fields: { stringValue: { type: 'string', id: 3 } } },
  },
} as const

const root = protobuf.Root.fromJSON(SCHEMA)
const checkRequest = root.lookupType('CheckRequest')
const checkResponse = root.lookupType('CheckResponse')

export interface HeaderValue {
  readonly key: string
  readonly value: string
  readonly rawValue: Uint8Array
}

/** What Envoy asks about; fields that were not sent have the defaults of their type. */
export interface AskedHttp {
  readonly method: string
  /** Names in lower case; of a repeated header the values are joined. */
  readonly headers: Readonly<Record<string, string>>
  /** With its query, not decoded. */
  readonly path: string
  readonly host: string
  readonly scheme: string
  readonly query: string
  readonly fragment: string
  /** Bytes of the body, or -1. */
  readonly size: number
  readonly body: string
  readonly rawBody: Uint8Array
  /** Every header as it came, where Envoy is told to send them so. */
  readonly headerMap: { readonly headers: readonly HeaderValue[] } | null
}

export interface CheckRequest {
  readonly http: AskedHttp
  /** The peer of Envoy's own connection; empty when it is no IP address. */
  readonly sourceAddress: string
}

export interface CheckResponse {
  readonly status: { readonly code: number }
  readonly okResponse?: {
    readonly headers: readonly HeaderOption[]
    readonly headersToRemove: readonly string[]
    /** To the answer that the caller gets. */
    readonly responseHeadersToAdd: readonly HeaderOption[]
  }
  readonly deniedResponse?: {
    readonly status: { readonly code: number }
    readonly headers: readonly HeaderOption[]
    readonly body: string
  }
  readonly dynamicMetadata?: { readonly fields: Readonly<Record<string, { readonly stringValue: string }>> }
}

export interface HeaderOption {
  readonly header: { readonly key: string; readonly value: string }
  /** False: it takes the place of what is there. */
  readonly append: { readonly value: boolean }
}

/** @returns null for what is no such message, or asks about no HTTP request. */
export const decodeCheckRequest = (bytes: Uint8Array): CheckRequest | null => {
  try {
    const message = checkRequest.toObject(checkRequest.decode(bytes), { defaults: true, longs: Number })
    const { source, request } = message.attributes ?? {}
    const http = request?.http
    if (!http) return null
    return { http, sourceAddress: source?.address?.socketAddress?.address ?? '' }
  } catch {
    return null
  }
}

export const encodeCheckResponse = (response: CheckResponse): Buffer =>
  Buffer.from(checkResponse.encode(checkResponse.fromObject(response)).finish())
