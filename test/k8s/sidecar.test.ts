import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { IContainer } from 'kubernetes-models/v1/Container'
import { type Manifest, ofKind, podsOf, render, unrendered } from './manifests.ts'
import { findWaysAround } from './ways-around.ts'

interface Rendered {
  readonly manifests: Manifest[]
  /** The container that is protected. */
  readonly application: IContainer
}

/** Rendered anew, to be spoilt. */
const rendered = (): Rendered => {
  const manifests = [...render('k8s/overlays/sidecar')]
  const application = podsOf(manifests)[0]?.containers.find(({ name }) => name === 'application')
  assert.ok(application !== undefined)
  return { manifests, application }
}

const named = <T extends Manifest>(manifests: readonly T[], name: string): T => {
  const found = manifests.find(({ metadata }) => metadata.name === name)
  assert.ok(found !== undefined, name)
  return found
}

const configMapOf = ({ manifests }: Rendered) => {
  const { data } = named(ofKind(manifests, 'ConfigMap'), 'sallyport-config')
  assert.ok(data !== undefined)
  return data
}

/** What somebody could change without a second thought, and what is found then. */
const FAULTS: Readonly<Record<string, readonly [spoil: (all: Rendered) => void, found: RegExp]>> = {
  'a port of the application': [
    ({ application }) => {
      application.ports = [{ containerPort: 9000 }]
    },
    /^application has ports$/,
  ],
  'an application that listens everywhere': [
    ({ application }) => {
      application.env = [{ name: 'PORT', value: '9000' }]
    },
    /is not told to listen on loopback/,
  ],
  'a probe of the application itself': [
    ({ application }) => {
      application.livenessProbe = { httpGet: { path: '/health', port: 9000 } }
    },
    /is probed at 9000/,
  ],
  'a volume of the gate in the application': [
    ({ application, manifests }) => {
      const [mount] =
        podsOf(manifests)[0]?.containers.find(({ name }) => name === 'sallyport')?.volumeMounts ?? []
      assert.ok(mount !== undefined)
      application.volumeMounts = [mount]
    },
    /^application mounts \S+ of the gate$/,
  ],
  'a second port of the Service': [
    ({ manifests }) => {
      const { spec } = named(ofKind(manifests, 'Service'), 'bank')
      spec?.ports?.push({ port: 9000 })
    },
    /Service\/bank leads by 9000 past the gate/,
  ],
  'a Service of its own': [
    ({ manifests }) => {
      const service = structuredClone(named(ofKind(manifests, 'Service'), 'bank'))
      const spec = { ...service.spec, ports: [{ port: 80, targetPort: 9000 }] }
      manifests.push({ ...service, metadata: { name: 'backdoor' }, spec } as Manifest)
    },
    /Service\/backdoor leads by 80 past the gate/,
  ],
  'a network policy that lets in one more port': [
    ({ manifests }) => {
      const { spec } = named(ofKind(manifests, 'NetworkPolicy'), 'sallyport-ingress')
      spec?.ingress?.push({ ports: [{ port: 9000 }] })
    },
    /NetworkPolicy\/sallyport-ingress lets in 9000/,
  ],
  'a network policy that lets in everything': [
    ({ manifests }) => {
      const { spec } = named(ofKind(manifests, 'NetworkPolicy'), 'sallyport-ingress')
      spec?.ingress?.push({})
    },
    /NetworkPolicy\/sallyport-ingress lets in everything/,
  ],
  'the network of the node': [
    ({ manifests }) => {
      const [pod] = podsOf(manifests)
      if (pod !== undefined) pod.spec.hostNetwork = true
    },
    /listens on the node/,
  ],
  'an ingress': [
    ({ manifests }) => {
      manifests.push({ apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', metadata: { name: 'front' } })
    },
    /Ingress\/front/,
  ],
  'an upstream over the network': [
    (all) => {
      const data = configMapOf(all)
      data['sallyport.yaml'] = (data['sallyport.yaml'] ?? '').replace(
        'http://127.0.0.1:9000',
        'http://bank:9000',
      )
    },
    /upstream bank is reached over the network/,
  ],
  'an upstream where nothing listens': [
    (all) => {
      const data = configMapOf(all)
      data['sallyport.yaml'] = (data['sallyport.yaml'] ?? '').replace(
        'http://127.0.0.1:9000',
        'http://127.0.0.1:9001',
      )
    },
    /nothing listens where upstream bank is/,
  ],
}

describe('the sidecar', { skip: unrendered }, () => {
  test('leaves no way to the application but through the gate', () => {
    assert.deepEqual(findWaysAround(rendered().manifests), [])
  })

  for (const [name, [spoil, found]] of Object.entries(FAULTS)) {
    test(`would not pass with ${name}`, () => {
      const all = rendered()
      spoil(all)
      const ways = findWaysAround(all.manifests)
      assert.equal(ways.length, 1, ways.join('\n'))
      assert.match(ways[0] ?? '', found)
    })
  }
})
