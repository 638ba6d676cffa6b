import type { IContainer } from 'kubernetes-models/v1/Container'
import type { IVolume } from 'kubernetes-models/v1/Volume'
import { gateOf, type Manifest, ofKind, type Pod, podsOf, selects } from './manifests.ts'

/** The kinds of volume that the restricted profile has. */
const VOLUMES = [
  'configMap',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'persistentVolumeClaim',
  'projected',
  'secret',
]

const when = (wrong: boolean, weakness: string): readonly string[] => (wrong ? [weakness] : [])

const inVolume = (volume: IVolume): readonly string[] => {
  const { name, ...source } = volume
  const hasToken = volume.projected?.sources?.some((part) => part.serviceAccountToken !== undefined) === true
  return [
    ...when(
      !Object.keys(source).every((kind) => VOLUMES.includes(kind)),
      `volume ${name} is of a kind that is not restricted`,
    ),
    ...when(hasToken, `volume ${name} holds a token of the service account`),
  ]
}

const inContainer = ({ containers, spec }: Pod, container: IContainer): readonly string[] => {
  const { securityContext: own, resources, ports = [], env = [], envFrom = [], volumeMounts = [] } = container
  const requests = resources?.requests ?? {}
  const hasSecret =
    env.some(({ valueFrom }) => valueFrom?.secretKeyRef !== undefined) ||
    envFrom.some(({ secretRef }) => secretRef !== undefined)
  const user = own?.runAsUser ?? spec.securityContext?.runAsUser
  const weaknesses = [
    ...when(own?.allowPrivilegeEscalation !== false, 'may get more privileges'),
    ...when(own?.privileged === true, 'is privileged'),
    ...when(own?.readOnlyRootFilesystem !== true, 'may write to its image'),
    ...when(own?.capabilities?.drop?.includes('ALL') !== true, 'keeps capabilities'),
    ...when((own?.capabilities?.add ?? []).length > 0, 'gets capabilities'),
    ...when(own?.procMount !== undefined && own.procMount !== 'Default', 'sees more of /proc'),
    ...when(own?.runAsNonRoot === false || user === undefined || user === 0, 'may be root'),
    ...when(
      (own?.seccompProfile?.type ?? 'RuntimeDefault') !== 'RuntimeDefault',
      'has another seccomp profile',
    ),
    ...when(
      ports.some(({ hostPort }) => hostPort !== undefined),
      'takes a port of the node',
    ),
    ...when(requests.cpu === undefined || requests.memory === undefined, 'does not say what it needs'),
    ...when(resources?.limits?.memory === undefined, 'has no limit of memory'),
    ...when(!/:(?!latest$)[\w.-]+$|@sha256:/.test(container.image ?? ''), 'has an image without a version'),
    ...when(hasSecret, 'has a secret in its environment'),
    ...when(
      volumeMounts.some(({ subPath, subPathExpr }) => subPath !== undefined || subPathExpr !== undefined),
      'mounts by subPath, which does not follow edits',
    ),
  ]
  return weaknesses.map(
    (weakness) => `container ${containers.length > 1 ? container.name : 'sallyport'} ${weakness}`,
  )
}

const inGate = (pod: Pod): readonly string[] => {
  const gate = gateOf(pod)
  if (gate === undefined) return ['has no container sallyport']
  const admin = gate.ports?.find(({ name }) => name === 'admin')?.containerPort
  const asks = (probe: IContainer['livenessProbe'], path: string): boolean =>
    probe?.httpGet?.path === path && (probe.httpGet.port === 'admin' || probe.httpGet.port === admin)
  return [
    ...when(admin === undefined, 'has no port named admin'),
    ...when(!asks(gate.livenessProbe, '/healthz'), 'is not asked whether it lives'),
    ...when(!asks(gate.readinessProbe, '/readyz'), 'is not asked whether it is ready'),
    ...when(!asks(gate.startupProbe, '/readyz'), 'has no time to start'),
  ]
}

const inPod = (pod: Pod): readonly string[] => {
  const { spec } = pod
  const shared = spec.hostNetwork || spec.hostPID || spec.hostIPC || spec.shareProcessNamespace
  return [
    ...when(spec.automountServiceAccountToken !== false, 'gets a token of the service account'),
    ...when(shared === true, 'shares what the node or other containers have'),
    ...when(spec.securityContext?.runAsNonRoot !== true, 'may be root'),
    ...when(spec.securityContext?.seccompProfile?.type !== 'RuntimeDefault', 'has no seccomp profile'),
    ...when((spec.topologySpreadConstraints ?? []).length === 0, 'may all be on one node'),
    ...(spec.volumes ?? []).flatMap(inVolume),
    ...pod.containers.flatMap((container) => inContainer(pod, container)),
    ...inGate(pod),
  ]
}

const aroundPod = (manifests: readonly Manifest[], pod: Pod): readonly string[] => {
  const policies = ofKind(manifests, 'NetworkPolicy').filter(({ spec }) => selects(spec?.podSelector, pod))
  const restricts = (direction: 'Egress' | 'Ingress'): boolean =>
    policies.some(({ spec }) => spec?.policyTypes?.includes(direction) === true)
  const account = ofKind(manifests, 'ServiceAccount').find(
    ({ metadata }) => metadata.name === pod.spec.serviceAccountName,
  )
  const budget = manifests.some(({ kind }) => kind === 'PodDisruptionBudget')
  return [
    ...when(!restricts('Ingress'), 'may be reached by everybody on every port'),
    ...when(!restricts('Egress'), 'may reach everything'),
    ...when(account?.automountServiceAccountToken !== false, 'has an account with a token'),
    ...when(!budget, 'may be disrupted as a whole'),
  ]
}

/**
 * Where pods are not as the restricted profile of Kubernetes wants them, or not as docs/deploy-kubernetes.md says.
 *
 * @see https://kubernetes.io/docs/concepts/security/pod-security-standards/
 */
export const findWeaknesses = (manifests: readonly Manifest[]): readonly string[] => [
  ...manifests
    .filter(({ kind }) => kind === 'Secret')
    .map(({ metadata }) => `Secret/${metadata.name} is in a file`),
  ...podsOf(manifests).flatMap((pod) =>
    [...inPod(pod), ...aroundPod(manifests, pod)].map((weakness) => `${pod.owner}: ${weakness}`),
  ),
]
