/** The fields that make a request a handshake; those of `more` come before them. */
export const handshake = (target: string, more = '', host = 'bank.example.com'): string =>
  `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n${more}${HANDSHAKE_FIELDS}\r\n`

export const HANDSHAKE_FIELDS =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n'

/** What an application answers to it. */
export const SWITCH =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'

/** A frame as a server sends it, in the shortest form; `1` is text, `2` binary, `8` close. */
export const frame = (opcode: number, payload: Buffer | string): Buffer => {
  const bytes = Buffer.from(payload)
  const first = 0x80 | opcode
  if (bytes.length < 126) return Buffer.concat([Buffer.from([first, bytes.length]), bytes])
  const header = Buffer.alloc(bytes.length < 65_536 ? 4 : 10)
  header[0] = first
  header[1] = bytes.length < 65_536 ? 126 : 127
  if (bytes.length < 65_536) header.writeUInt16BE(bytes.length, 2)
  else header.writeBigUInt64BE(BigInt(bytes.length), 2)
  return Buffer.concat([header, bytes])
}

/** Close, 1001. */
export const GOING_AWAY: Buffer = Buffer.from([0x88, 0x02, 0x03, 0xe9])
