import { spawnSync } from 'node:child_process'
import { basename, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { IDeployment } from 'kubernetes-models/apps/v1/Deployment'
import type { INetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy'
import type { IConfigMap } from 'kubernetes-models/v1/ConfigMap'
import type { IContainer } from 'kubernetes-models/v1/Container'
import type { IPodSpec } from 'kubernetes-models/v1/PodSpec'
import type { IService } from 'kubernetes-models/v1/Service'
import type { IServiceAccount } from 'kubernetes-models/v1/ServiceAccount'
import { parseAllDocuments } from 'yaml'
import { repositoryRoot } from '../house/source-files.ts'

/** Any object of Kubernetes; what else it has is told by its kind. */
export interface Manifest {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly labels?: Readonly<Record<string, string>> }
}

interface Kinds {
  readonly Deployment: IDeployment
  readonly Service: IService
  readonly ServiceAccount: IServiceAccount
  readonly NetworkPolicy: INetworkPolicy
  readonly ConfigMap: IConfigMap
}

const { findTool } = await import(pathToFileURL(join(repositoryRoot, 'scripts', 'tools.mjs')).href)
const kustomize: string | null = findTool('kustomize')

/** Why the manifests cannot be rendered here; false when they can. */
export const unrendered: string | false =
  kustomize === null ? 'kustomize is not installed, and neither is kubectl' : false

/** Every document of a YAML file; Kubernetes reads YAML 1.1. */
export const readManifests = (text: string): readonly Manifest[] =>
  parseAllDocuments(text, { version: '1.1' })
    .map((document) => document.toJS())
    .filter((value) => value !== null)

/**
 * Renders a folder as `kubectl apply -k` would apply it.
 *
 * @param folder relative to the repository.
 */
export const render = (folder: string): readonly Manifest[] => {
  if (kustomize === null) throw new Error(String(unrendered))
  const command = basename(kustomize).startsWith('kubectl') ? 'kustomize' : 'build'
  const { status, stdout, stderr } = spawnSync(kustomize, [command, join(repositoryRoot, folder)], {
    encoding: 'utf8',
    timeout: 60_000,
  })
  if (status !== 0) throw new Error(`${folder}: ${stderr}`)
  return readManifests(stdout)
}

/** The manifests of one kind. */
export const ofKind = <K extends keyof Kinds>(
  manifests: readonly Manifest[],
  kind: K,
): readonly (Manifest & Kinds[K])[] =>
  // What is in them is checked against the schema of their kind by rendered.test.ts.
  manifests.filter((manifest) => manifest.kind === kind) as unknown as (Manifest & Kinds[K])[]

/** What runs somewhere: the template of a Deployment. */
export interface Pod {
  /** As `Deployment/name`. */
  readonly owner: string
  readonly labels: Readonly<Record<string, string>>
  readonly spec: IPodSpec
  /** With those that run before the others. */
  readonly containers: readonly IContainer[]
}

/** Every pod that the manifests lead to. Does not know: StatefulSets, Jobs and the like, which none of ours is. */
export const podsOf = (manifests: readonly Manifest[]): readonly Pod[] =>
  ofKind(manifests, 'Deployment').flatMap(({ kind, metadata, spec }) => {
    const template = spec?.template
    if (template?.spec === undefined) return []
    const { spec: pod, metadata: about } = template
    const containers = [...(pod.initContainers ?? []), ...pod.containers]
    return [{ owner: `${kind}/${metadata.name}`, labels: about?.labels ?? {}, spec: pod, containers }]
  })

interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>
  readonly matchExpressions?: readonly unknown[]
}

/** Whether a selector of labels takes a pod; one with expressions is taken to do so. */
export const selects = (selector: Selector | undefined, { labels }: Pod): boolean =>
  Object.entries(selector?.matchLabels ?? {}).every(([name, value]) => labels[name] === value)

/** The container that is the gate. */
export const gateOf = ({ containers }: Pod): IContainer | undefined =>
  containers.find(({ name }) => name === 'sallyport')
