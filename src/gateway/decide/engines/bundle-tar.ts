import { gunzipSync } from 'node:zlib'

/** Files of a bundle by absolute path, such as `/policy.wasm`. */
export type BundleFiles = ReadonlyMap<string, Buffer>

const MOST_BYTES = 256 * 1024 * 1024
const BLOCK = 512

/**
 * Unpacks a bundle: a tar archive, compressed by gzip.
 *
 * Does not check: the checksums of headers, since gzip has its own. Links and devices are left out; nothing is written
 * anywhere. Refuses more than 256 MiB, and one path twice.
 */
export const readBundleFiles = (content: Buffer): BundleFiles | { readonly problem: string } => {
  let tar: Buffer
  try {
    tar = gunzipSync(content, { maxOutputLength: MOST_BYTES })
  } catch {
    return { problem: 'it is no tar.gz, or is larger than 256 MiB' }
  }
  const files = new Map<string, Buffer>()
  let longName: string | null = null
  for (let at = 0; at + BLOCK <= tar.length; ) {
    const header = tar.subarray(at, at + BLOCK)
    if (header[0] === 0) break
    const size = Number.parseInt(text(header, 124, 12).trim() || '0', 8)
    const body = tar.subarray(at + BLOCK, at + BLOCK + size)
    if (!Number.isSafeInteger(size) || body.length < size) return { problem: 'it ends within a file' }
    const kind = String.fromCharCode(header[156] ?? 0)
    if (kind === 'x') longName = paxPath(body) ?? longName
    else if (kind === 'L') longName = text(body, 0, body.length)
    else {
      const prefix = text(header, 257, 5) === 'ustar' ? text(header, 345, 155) : ''
      const short = text(header, 0, 100)
      const path = absolute(longName ?? (prefix === '' ? short : `${prefix}/${short}`))
      longName = null
      const isFile = kind === '0' || kind === '\0'
      if (isFile && files.has(path)) return { problem: `it holds ${path} twice` }
      if (isFile) files.set(path, body)
    }
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK
  }
  return files
}

/** Up to the first NUL. */
const text = (bytes: Buffer, start: number, length: number): string => {
  const field = bytes.subarray(start, start + length)
  const end = field.indexOf(0)
  return field.subarray(0, end === -1 ? field.length : end).toString('utf8')
}

const absolute = (path: string): string => `/${path.replace(/^(\.?\/)+/, '')}`

/** @see https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html (pax Extended Header) */
const paxPath = (body: Buffer): string | null =>
  /(?:^|\n)\d+ path=([^\n]*)\n/.exec(body.toString('utf8'))?.[1] ?? null
