import { createHash } from 'node:crypto'
import { startHttpBackend } from './backend.ts'

export interface BundleServer {
  readonly url: string
  readonly publish: (bundle: Buffer) => void
  /** Status of each answer so far. */
  readonly answered: readonly number[]
  readonly close: () => Promise<void>
}

/** Serves one bundle, with an ETag, as a bundle server of OPA does. */
export const startBundleServer = async (first: Buffer): Promise<BundleServer> => {
  let bundle = first
  const answered: number[] = []
  const backend = await startHttpBackend((request, response) => {
    const etag = `"${createHash('sha256').update(bundle).digest('hex')}"`
    const status = request.headers['if-none-match'] === etag ? 304 : 200
    answered.push(status)
    response.writeHead(status, { etag, 'content-type': 'application/gzip' })
    response.end(status === 200 ? bundle : undefined)
  })
  return {
    url: backend.url,
    publish: (next) => {
      bundle = next
    },
    answered,
    close: backend.close,
  }
}
