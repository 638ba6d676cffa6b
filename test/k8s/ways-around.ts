import type { IContainer } from 'kubernetes-models/v1/Container'
import { parse } from 'yaml'
import { gateOf, type Manifest, ofKind, type Pod, podsOf, selects } from './manifests.ts'

interface GateConfiguration {
  readonly listeners?: readonly { readonly bind: string }[]
  readonly admin?: { readonly bind: string }
  readonly upstreams?: Readonly<Record<string, { readonly url?: string; readonly urls?: readonly string[] }>>
}

const LOOPBACK = /^(127\.0\.0\.1|localhost|\[?::1\]?)$/

const portOf = (bind: string): number => Number(bind.slice(bind.lastIndexOf(':') + 1))

const variableOf = ({ env = [] }: IContainer, name: string): string | undefined =>
  env.find((each) => each.name === name)?.value

/** Where requests for a name or number of a port end up. */
const containerPort = ({ containers }: Pod, port: string | number | undefined): number =>
  typeof port === 'number'
    ? port
    : (containers.flatMap(({ ports = [] }) => ports).find(({ name }) => name === port)?.containerPort ?? -1)

/**
 * Ways to the applications beside the gate that do not lead through it; none is right.
 *
 * Reads what the manifests say. Does not know: what listens where inside a container's image, which is why the
 * application has to be told by `HOST`; and what objects elsewhere in the cluster allow.
 */
export const findWaysAround = (manifests: readonly Manifest[]): readonly string[] =>
  podsOf(manifests).flatMap((pod) => {
    const gate = gateOf(pod)
    const text = ofKind(manifests, 'ConfigMap').find(
      ({ data }) => data?.['sallyport.yaml'] !== undefined,
    )?.data
    if (gate === undefined || text === undefined) return ['there is no gate']
    // Whether it is one is tested by loading it.
    const configuration = parse(text['sallyport.yaml'] ?? '') as GateConfiguration
    const applications = pod.containers.filter((container) => container !== gate)
    if (applications.length === 0) return ['there is no application']
    const entrances = (configuration.listeners ?? []).map(({ bind }) => portOf(bind))
    const admin = configuration.admin === undefined ? [] : [portOf(configuration.admin.bind)]
    return [
      ...inPod(pod, gate),
      ...applications.flatMap((application) => inApplication(pod, gate, application, entrances)),
      ...overServices(manifests, pod, entrances),
      ...overNetwork(manifests, pod, [...entrances, ...admin]),
      ...pastUpstreams(configuration, applications),
      ...manifests
        .filter(({ kind }) => /^(Ingress|HTTPRoute|TCPRoute|Gateway|VirtualService)$/.test(kind))
        .map(({ kind, metadata }) => `${kind}/${metadata.name} is not known to lead to the gate`),
    ]
  })

const inPod = ({ spec }: Pod, gate: IContainer): readonly string[] => [
  ...(spec.hostNetwork === true ? ['the pod listens on the node'] : []),
  ...(spec.shareProcessNamespace === true ? ['containers see the processes of each other'] : []),
  ...((gate.ports ?? []).some(({ hostPort }) => hostPort !== undefined)
    ? ['the gate has a port of the node']
    : []),
]

const inApplication = (
  pod: Pod,
  gate: IContainer,
  application: IContainer,
  entrances: readonly number[],
): readonly string[] => {
  const { name, ports = [], volumeMounts = [] } = application
  const own = new Set((gate.volumeMounts ?? []).map((mount) => mount.name))
  const probes = [application.livenessProbe, application.readinessProbe, application.startupProbe]
  const past = probes.flatMap((probe) => {
    const port = probe?.httpGet?.port ?? probe?.tcpSocket?.port ?? probe?.grpc?.port
    return port === undefined || entrances.includes(containerPort(pod, port)) ? [] : [port]
  })
  return [
    ...(ports.length > 0 ? [`${name} has ports`] : []),
    ...(LOOPBACK.test(variableOf(application, 'HOST') ?? '')
      ? []
      : [`${name} is not told to listen on loopback`]),
    ...past.map((port) => `${name} is probed at ${port}, which is not the gate's`),
    ...volumeMounts
      .filter((mount) => own.has(mount.name))
      .map((mount) => `${name} mounts ${mount.name} of the gate`),
  ]
}

const overServices = (
  manifests: readonly Manifest[],
  pod: Pod,
  entrances: readonly number[],
): readonly string[] => {
  const services = ofKind(manifests, 'Service').filter(({ spec }) =>
    selects({ matchLabels: spec?.selector ?? {} }, pod),
  )
  if (services.length === 0) return ['no Service leads to the gate']
  return services.flatMap(({ metadata, spec }) =>
    (spec?.ports ?? [])
      .filter(({ port, targetPort }) => !entrances.includes(containerPort(pod, targetPort ?? port)))
      .map(({ port }) => `Service/${metadata.name} leads by ${port} past the gate`),
  )
}

const overNetwork = (
  manifests: readonly Manifest[],
  pod: Pod,
  allowed: readonly number[],
): readonly string[] => {
  const policies = ofKind(manifests, 'NetworkPolicy').filter(
    ({ spec }) => selects(spec?.podSelector, pod) && spec?.policyTypes?.includes('Ingress') === true,
  )
  if (policies.length === 0) return ['no NetworkPolicy bounds what comes in']
  return policies.flatMap(({ metadata, spec }) =>
    (spec?.ingress ?? []).flatMap(({ ports }) => {
      if (ports === undefined) return [`NetworkPolicy/${metadata.name} lets in everything`]
      return ports
        .filter(({ port, endPort }) => endPort !== undefined || !allowed.includes(containerPort(pod, port)))
        .map(({ port }) => `NetworkPolicy/${metadata.name} lets in ${port}`)
    }),
  )
}

/** The gate has to bring requests to where the application listens, and not over the network. */
const pastUpstreams = (
  { upstreams = {} }: GateConfiguration,
  applications: readonly IContainer[],
): readonly string[] => {
  const listened = applications.map((application) => Number(variableOf(application, 'PORT')))
  return Object.entries(upstreams).flatMap(([name, { url, urls }]) =>
    (urls ?? [url ?? '']).flatMap((each) => {
      const { hostname, port } = new URL(each)
      const problems = LOOPBACK.test(hostname) ? [] : [`upstream ${name} is reached over the network`]
      return listened.includes(Number(port))
        ? problems
        : [...problems, `nothing listens where upstream ${name} is`]
    }),
  )
}
