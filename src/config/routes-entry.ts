import { z } from 'zod'
import type { Settings } from '../core/settings.ts'
import { entryName, hostPattern, label } from './names.ts'

/** What the route maps of one entry of `routes` may do; null: not confined in that respect. */
export interface Confinement {
  readonly hosts: readonly string[] | null
  readonly upstreams: readonly string[] | null
  readonly engines: readonly string[] | null
  readonly authenticators: readonly string[] | null
  readonly secrets: readonly string[] | null
  readonly public: readonly string[] | null
}

export interface RoutesEntry {
  /** An absolute pattern. */
  readonly files: string
  /** Null: as the file says. */
  readonly owner: string | null
  readonly confinement: Confinement
}

const UNCONFINED: Confinement = {
  hosts: null,
  upstreams: null,
  engines: null,
  authenticators: null,
  secrets: null,
  public: null,
}

/** One entry of `routes`: a pattern of files, or one with what these files may do. */
export const routesEntry = (s: Settings) =>
  z.union([
    s.glob().describe('Route maps that are not confined; their owner is as they say'),
    z.strictObject({
      files: s.glob().describe('The route maps: a path, in which * and ** may stand for names'),
      owner: label()
        .optional()
        .describe('Who owns these routes, whatever the files say; default as the files say'),
      hosts: z
        .array(hostPattern())
        .optional()
        .describe('Hosts that these routes may take: exact, or *.suffix; default any, also none'),
      upstreams: z
        .array(entryName())
        .optional()
        .describe('Upstreams that these routes may forward to; default any'),
      engines: z.array(entryName()).optional().describe('Engines that these routes may ask; default any'),
      authenticators: z
        .array(entryName())
        .optional()
        .describe('Authenticators that these routes may accept; default any'),
      secrets: z
        .array(entryName())
        .default([])
        .describe('Entries of secrets that the headers of these routes may hold; default none'),
      public: z
        .array(z.string().startsWith('/', { error: 'expected a path that starts with /' }))
        .default([])
        .describe(
          'Path templates that may be public, such as /health, or /assets/* for /assets and all below it; default none',
        ),
    }),
  ])

/** Both forms of an entry as one. */
export const resolveRoutesEntry = (entry: z.infer<ReturnType<typeof routesEntry>>): RoutesEntry => {
  if (typeof entry === 'string') return { files: entry, owner: null, confinement: UNCONFINED }
  const { files, owner = null, hosts = null, upstreams = null, engines = null, authenticators = null } = entry
  const { secrets, public: publicPaths } = entry
  return {
    files,
    owner,
    confinement: { hosts, upstreams, engines, authenticators, secrets, public: publicPaths },
  }
}
