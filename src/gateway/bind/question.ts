import type { AccessRequest, Action, Resource, Subject } from '../../core/access-request.ts'
import type { JsonObject } from '../../core/json.ts'
import type { Problem } from '../../core/problem.ts'
import type { EntitiesConfig } from './config.ts'
import type { Read } from './reads.ts'
import { fail, type Scope } from './scope.ts'
import {
  type Compilation,
  compileObject,
  compileText,
  compose,
  constant,
  required,
  type Template,
} from './template.ts'

/** The parts of an access request that have been compiled so far. */
export interface Entities {
  readonly subject?: Template<Subject>
  readonly action?: Template<Action>
  readonly resource?: Template<Resource>
  readonly context?: Template<JsonObject>
}

/** One access request in the making. */
export interface Question {
  readonly reads: readonly Read[]
  /** Undefined when `scope.failure` says why there is none. */
  readonly render: (scope: Scope) => AccessRequest | undefined
}

type Path = Problem['path']

const NO_CONTEXT: Template<JsonObject> = constant(Object.freeze({}))

/** Compiles the entities that are there; those of an item replace those beside the list as a whole. */
export const compileEntities = (config: EntitiesConfig, at: Path, compilation: Compilation): Entities => {
  const { subject, action, resource, context } = config
  return {
    ...(subject === undefined
      ? {}
      : { subject: compileSubject(subject.properties, [...at, 'subject', 'properties'], compilation) }),
    ...(action === undefined ? {} : { action: compileAction(action, [...at, 'action'], compilation) }),
    ...(resource === undefined
      ? {}
      : { resource: compileResource(resource, [...at, 'resource'], compilation) }),
    ...(context === undefined ? {} : { context: compileObject(context, [...at, 'context'], compilation) }),
  }
}

/** A question of its entities; reports an action or a resource that is not there. */
export const composeQuestion = (entities: Entities, at: Path, compilation: Compilation): Question => {
  const { action, resource } = entities
  if (action === undefined) reportMissing('action', at, compilation)
  if (resource === undefined) reportMissing('resource', at, compilation)
  if (action === undefined || resource === undefined) return { reads: [], render: () => undefined }
  const subject = entities.subject ?? ROUTE_ADDS_NOTHING
  const context = entities.context ?? NO_CONTEXT
  return {
    reads: [subject, action, resource, context].flatMap((part) => part.reads),
    render: (scope) => {
      const parts = {
        subject: subject.render(scope),
        action: action.render(scope),
        resource: resource.render(scope),
        context: context.render(scope),
      }
      return isComplete(parts) ? parts : undefined
    },
  }
}

type Incomplete<T> = { readonly [K in keyof T]: T[K] | undefined }

const isComplete = (parts: Incomplete<AccessRequest>): parts is AccessRequest =>
  parts.subject !== undefined &&
  parts.action !== undefined &&
  parts.resource !== undefined &&
  parts.context !== undefined

const reportMissing = (name: string, at: Path, compilation: Compilation): void => {
  const message = `found no ${name}, neither here nor beside the list of evaluations`
  compilation.report({ path: at, message, rule: 'mapping' })
}

const subjectOf = (scope: Scope): Subject | undefined =>
  scope.identity?.subject ?? fail(scope, 'denied', 'nobody is authenticated')

const ROUTE_ADDS_NOTHING: Template<Subject> = { constant: null, reads: [], render: subjectOf }

const compileSubject = (properties: JsonObject, at: Path, compilation: Compilation): Template<Subject> => {
  const added = compileObject(properties, at, compilation)
  const names = Object.keys(properties)
  return {
    constant: null,
    reads: added.reads,
    render: (scope) => {
      const subject = subjectOf(scope)
      const more = added.render(scope)
      if (subject === undefined || more === undefined) return undefined
      const own = subject.properties ?? {}
      const taken = names.find((name) => Object.hasOwn(own, name))
      // What is verified must not be replaced, and a rule must not be ignored in silence.
      if (taken !== undefined)
        return fail(scope, 'denied', `${at.join('.')}: the authenticator sets ${taken}`)
      return { ...subject, properties: { ...own, ...more } }
    },
  }
}

const compileAction = (
  config: NonNullable<EntitiesConfig['action']>,
  at: Path,
  compilation: Compilation,
): Template<Action> => {
  if (typeof config === 'string') {
    const name = required(compileText(config, at, compilation), at)
    return compose([name], (valueIn) => {
      const text = valueIn(name)
      return text === undefined ? undefined : { name: text }
    })
  }
  const nameAt = [...at, 'name']
  const name = required(compileText(config.name, nameAt, compilation), nameAt)
  const properties = compileObject(config.properties ?? {}, [...at, 'properties'], compilation)
  return compose([name, properties], (valueIn) => {
    const text = valueIn(name)
    return text === undefined ? undefined : { name: text, ...ifAny(valueIn(properties)) }
  })
}

const compileResource = (
  config: NonNullable<EntitiesConfig['resource']>,
  at: Path,
  compilation: Compilation,
): Template<Resource> => {
  const text = (key: 'type' | 'id') => {
    const textAt = [...at, key]
    return required(compileText(config[key], textAt, compilation), textAt)
  }
  const type = text('type')
  const id = text('id')
  const properties = compileObject(config.properties ?? {}, [...at, 'properties'], compilation)
  return compose([type, id, properties], (valueIn) => {
    const names = { type: valueIn(type), id: valueIn(id) }
    if (names.type === undefined || names.id === undefined) return undefined
    return { type: names.type, id: names.id, ...ifAny(valueIn(properties)) }
  })
}

// An entity without properties has no `properties`: AuthZEN leaves out what is empty.
const ifAny = (properties: JsonObject | undefined): { readonly properties?: JsonObject } =>
  properties === undefined || Object.keys(properties).length === 0 ? {} : { properties }
