import { z } from 'zod'
import type { Settings } from '../core/settings.ts'
import { routeMatchFields } from '../gateway/accept/config.ts'
import { requireConfig } from '../gateway/authenticate/requirement.ts'
import { routeMappingFields } from '../gateway/bind/config.ts'
import { routeGrantField } from '../gateway/decide/config.ts'
import { corsConfig } from '../gateway/enforce/cors-config.ts'

import { entryName, hostPattern, label } from './names.ts'
import { streamField } from './stream-field.ts'
import { taskField } from './task-field.ts'

const authenticate = () =>
  z
    .array(entryName())
    .min(1)
    .describe('Authenticators that may prove the caller; the first whose credential is present decides')

const mode = () =>
  z
    .enum(['enforce', 'observe'])
    .describe(
      'What becomes of a deny: enforce refuses, observe records and forwards; default that of the gateway',
    )

const engines = () =>
  z
    .array(entryName())
    .min(1)
    .describe('Engines that are asked, in place of `engine`: all must allow, and the first deny ends it')

/** What routes have in common unless they say otherwise. */
export const defaultsSchema = (s: Settings) =>
  z.strictObject({
    host: hostPattern().optional().describe('Host of the routes: exact, or *.suffix; default any'),
    upstream: entryName().optional().describe('Upstream that the routes forward to'),
    engine: entryName().optional().describe('Engine that the routes ask'),
    engines: engines().optional(),
    authenticate: authenticate().optional(),
    mode: mode().optional(),
    shadow: entryName().optional().describe('Engine that is asked too, for the record only'),
    grant: routeGrantField(s),
    stream: streamField(s),
  })

export type Defaults = z.infer<ReturnType<typeof defaultsSchema>>

/** One route. */
export const routeSchema = (s: Settings) =>
  z.strictObject({
    name: label().describe('Name of the route, unique in the whole configuration; it is in every record'),
    ...routeMatchFields(s),
    access: z
      .enum(['public', 'protected'])
      .default('protected')
      .describe('public: forwarded without asking anybody; default protected'),
    mode: mode().optional(),
    observeUntil: z.iso
      .datetime({ offset: true })
      .optional()
      .describe('When mode observe ends and enforce begins, such as 2026-12-01T08:00:00Z; default never'),
    host: hostPattern()
      .optional()
      .describe('Host of the route: exact, or *.suffix; default that of defaults'),
    upstream: entryName()
      .optional()
      .describe('Upstream that the route forwards to; default that of defaults'),
    engine: entryName().optional().describe('Engine that the route asks; default that of defaults'),
    engines: engines().optional(),
    authenticate: authenticate().optional(),
    require: requireConfig(s)
      .optional()
      .describe('What the caller must have shown beyond being known, default nothing more'),
    ...routeMappingFields(s),
    grant: routeGrantField(s),
    stream: streamField(s),
    task: taskField(s),
    shadow: entryName().optional().describe('Engine that is asked too, for the record only; default none'),
    cors: corsConfig(s)
      .optional()
      .describe(
        'Pages of other origins that may use the route; the gateway answers their preflights, default none',
      ),
  })

export type RouteEntry = z.infer<ReturnType<typeof routeSchema>>

/** A route map, around whatever schema its parts have. */
export const routesCollections = <D extends z.ZodType, R extends z.ZodType>(defaults: D, route: R) => ({
  owner: label().optional().describe('Team that owns these routes; default none'),
  defaults: defaults.describe('What the routes have in common; each may say otherwise'),
  routes: z.array(route).describe('The routes, in any order: the most specific path wins'),
})

/** A whole route map. */
export const routesSchema = (s: Settings) =>
  z.strictObject(routesCollections(defaultsSchema(s).prefault({}), routeSchema(s)))
