import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { parse } from 'yaml'
import { repositoryRoot } from '../house/source-files.ts'
import { type Manifest, ofKind, podsOf, readManifests, render, unrendered } from './manifests.ts'
import { findSchemaErrors } from './schemas.ts'
import { findWeaknesses } from './weaknesses.ts'

const FOLDERS = ['k8s/base', 'k8s/overlays/gateway', 'k8s/overlays/sidecar']
const read = (file: string): string => readFileSync(join(repositoryRoot, file), 'utf8')

/** The files that a kustomization lists as they are: whole objects, not patches. */
const wholeFiles = FOLDERS.flatMap((folder) => {
  const { resources }: { resources: readonly string[] } = parse(read(`${folder}/kustomization.yaml`))
  return resources.filter((name) => name.endsWith('.yaml')).map((name) => `${folder}/${name}`)
})

describe('the files of k8s/', () => {
  test('are each named by a kustomization', () => {
    const files = readdirSync(join(repositoryRoot, 'k8s'), { recursive: true, encoding: 'utf8' })
    for (const folder of FOLDERS) {
      const kustomization = read(`${folder}/kustomization.yaml`)
      const own = files.filter((file) => `k8s/${file}`.startsWith(`${folder}/`) && /\.\w+$/.test(file))
      assert.ok(own.length > 1)
      for (const file of own) {
        const name = `k8s/${file}`.slice(folder.length + 1)
        if (name !== 'kustomization.yaml') assert.ok(kustomization.includes(` ${name}\n`), file)
      }
    }
  })

  for (const file of wholeFiles) {
    test(`${file} is as the schemas of Kubernetes want it`, () => {
      assert.deepEqual(readManifests(read(file)).flatMap(findSchemaErrors), [])
    })
  }
})

for (const folder of FOLDERS) {
  describe(`${folder}, rendered`, { skip: unrendered }, () => {
    let manifests: readonly Manifest[] = []
    const rendered = (): readonly Manifest[] => {
      if (manifests.length === 0) manifests = render(folder)
      return manifests
    }

    test('is as the schemas of Kubernetes want it', () => {
      assert.ok(rendered().length > 5)
      assert.deepEqual(rendered().flatMap(findSchemaErrors), [])
    })

    test('has no weakness', () => {
      assert.equal(podsOf(rendered()).length, 1)
      assert.deepEqual(findWeaknesses(rendered()), [])
    })

    test('keeps the names of its ConfigMaps, so that edits reach the pods that run', () => {
      assert.deepEqual(
        ofKind(rendered(), 'ConfigMap')
          .map(({ metadata }) => metadata.name)
          .filter((name) => !/^sallyport-[a-z]+(-[a-z]+)?$/.test(name)),
        [],
      )
    })
  })
}

describe('the base', { skip: unrendered }, () => {
  test("has the repository's configuration and policies in its ConfigMaps, byte for byte", () => {
    const data = new Map(
      ofKind(render('k8s/base'), 'ConfigMap').flatMap((map) => Object.entries(map.data ?? {})),
    )
    const folders = { config: ['sallyport.yaml', 'jwks.json', 'keys.yaml'], 'config/routes': ['bank.yaml'] }
    for (const [folder, names] of Object.entries(folders)) {
      for (const name of names) assert.equal(data.get(name), read(`${folder}/${name}`))
    }
    for (const name of readdirSync(join(repositoryRoot, 'policies/bank')))
      assert.equal(data.get(name), read(`policies/bank/${name}`))
  })
})

describe('the check against the schemas', () => {
  const service = {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'a', labels: { any: 'label' } },
    spec: { selector: { app: 'a' }, ports: [{ port: 80, targetPort: 'http' }] },
  }
  const planted: Readonly<Record<string, readonly [object, RegExp]>> = {
    'a kind that is not there': [{ ...service, apiVersion: 'v2' }, /no such kind/],
    'a wrong type': [{ ...service, spec: { ports: [{ port: '80' }] } }, /port.*integer/],
    'a missing field': [{ ...service, spec: { ports: [{ name: 'http' }] } }, /required.*port/],
    'a value that is not one of those': [{ ...service, spec: { type: 'Public' } }, /allowed values/],
    'a misspelt field': [{ ...service, spec: { selectors: { app: 'a' } } }, /^Service\/a\.spec\.selectors: /],
    'a field in the wrong place': [{ ...service, ports: [] }, /^Service\/a\.ports: /],
    'a misspelt field in a list': [
      { ...service, spec: { ports: [{ port: 80, targetport: 1 }] } },
      /^Service\/a\.spec\.ports\.0\.targetport: /,
    ],
  }
  test('finds nothing in what is right', () => assert.deepEqual(findSchemaErrors(service), []))
  for (const [name, [manifest, expected]] of Object.entries(planted)) {
    test(`finds ${name}`, () => {
      const errors = findSchemaErrors(manifest as Manifest)
      assert.equal(errors.length, 1, errors.join('\n'))
      assert.match(errors[0] ?? '', expected)
    })
  }
})
