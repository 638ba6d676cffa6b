import { z } from 'zod'
import type { Cors } from '../../core/cors.ts'
import type { Problem } from '../../core/problem.ts'
import type { Settings } from '../../core/settings.ts'

/** `cors` of a route: which pages of other origins may use it from a browser. */
export const corsConfig = (s: Settings) =>
  z.strictObject({
    origins: z
      .array(z.string())
      .min(1)
      .describe('Origins of the pages, such as https://app.example.com; or * for every one'),
    methods: z
      .array(z.string().regex(/^[A-Za-z]+$/))
      .min(1)
      .optional()
      .describe("Methods that these pages may use, default the route's own"),
    headers: z
      .array(z.string().regex(/^[A-Za-z0-9-]+$/))
      .default(['authorization', 'content-type'])
      .describe('Headers that these pages may send, default authorization and content-type'),
    exposeHeaders: z
      .array(z.string().regex(/^[A-Za-z0-9-]+$/))
      .default(['Sallyport-Decision-Id'])
      .describe('Headers of answers that these pages may read, default Sallyport-Decision-Id'),
    credentials: z
      .boolean()
      .default(false)
      .describe('Whether browsers may send cookies and client certificates, default false'),
    maxAge: s
      .duration({ minMs: 0, maxMs: 86_400_000 })
      .prefault('10m')
      .describe('How long a browser may keep the answer to a preflight, default 10m'),
  })

export type CorsConfig = z.infer<ReturnType<typeof corsConfig>>

/** What is wrong with `cors` although each of its fields is right; placed from `cors` on. */
export const checkCors = ({ origins, credentials }: CorsConfig): readonly Problem[] => {
  const problems: Problem[] = []
  origins.forEach((origin, index) => {
    if (origin === '*' || isOrigin(origin)) return
    const message = `found ${JSON.stringify(origin)}, expected an origin such as https://app.example.com, without a path`
    problems.push({ path: ['origins', index], rule: 'cors-origin', message })
  })
  if (credentials && origins.includes('*')) {
    const message = 'every page of the world could act with the cookies of its visitors: name the origins'
    problems.push({ path: ['credentials'], rule: 'cors-credentials', message })
  }
  return problems
}

const isOrigin = (text: string): boolean => URL.canParse(text) && new URL(text).origin === text

/** @param methods those of the route; null: every one. */
export const resolveCors = (config: CorsConfig, methods: readonly string[] | null): Cors => ({
  origins: config.origins,
  methods: config.methods?.map((method) => method.toUpperCase()) ?? methods ?? ALL_METHODS,
  headers: config.headers.map((name) => name.toLowerCase()),
  exposeHeaders: config.exposeHeaders,
  credentials: config.credentials,
  maxAgeSeconds: Math.floor(config.maxAge / 1000),
})

const ALL_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const
