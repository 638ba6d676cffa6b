import { Deployment } from 'kubernetes-models/apps/v1/Deployment'
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler'
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget'
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap'
import { Service } from 'kubernetes-models/v1/Service'
import { ServiceAccount } from 'kubernetes-models/v1/ServiceAccount'
import type { Manifest } from './manifests.ts'

interface Kind {
  readonly apiVersion: string
  readonly kind: string
  readonly prototype: { readonly validate: () => void }
}

const KINDS: ReadonlyMap<string, Kind> = new Map(
  [
    ConfigMap,
    Deployment,
    HorizontalPodAutoscaler,
    NetworkPolicy,
    PodDisruptionBudget,
    Service,
    ServiceAccount,
  ].map((kind) => [`${kind.apiVersion} ${kind.kind}`, kind]),
)

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

/**
 * The same value, which notes what of it is looked at.
 *
 * The schemas of Kubernetes let unknown fields be, and its servers drop them; but a field that no schema looks at
 * is misspelt or in the wrong place, and says nothing.
 */
const watch = (value: object, path: string, unseen: Set<string>): object => {
  for (const name of Object.keys(value)) unseen.add(`${path}.${name}`)
  return new Proxy(value, {
    get: (target, name) => {
      const found: unknown = Reflect.get(target, name)
      if (typeof name !== 'string' || !Object.hasOwn(target, name)) return found
      unseen.delete(`${path}.${name}`)
      return isObject(found) ? watch(found, `${path}.${name}`, unseen) : found
    },
  })
}

/** How a manifest departs from the schema of its kind: wrong types and values, missing fields, unknown ones. */
export const findSchemaErrors = (manifest: Manifest): readonly string[] => {
  const { apiVersion, kind, metadata } = manifest
  const name = `${kind}/${metadata?.name}`
  const schema = KINDS.get(`${apiVersion} ${kind}`)
  if (schema === undefined) return [`${name}: ${apiVersion} has no such kind, or it is new here`]
  const unseen = new Set<string>()
  const errors: string[] = []
  try {
    schema.prototype.validate.call(watch(manifest, name, unseen))
  } catch (error) {
    errors.push(`${name}: ${error instanceof Error ? error.message : String(error)}`)
  }
  return [...errors, ...[...unseen].map((path) => `${path}: there is no such field`)]
}
