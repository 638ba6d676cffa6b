import assert from 'node:assert/strict'
import { test } from 'node:test'
import { json } from '../../src/admin/answers.ts'
import type { Endpoint } from '../../src/admin/endpoint.ts'
import { createRouter } from '../../src/admin/router.ts'

const endpoint = (
  method: Endpoint['method'],
  path: string,
  permission: Endpoint['permission'] = 'read',
): Endpoint => ({
  method,
  path,
  permission,
  handle: () => json({}),
})

const find = createRouter([
  endpoint('GET', '/things/{id}'),
  endpoint('DELETE', '/things/{id}'),
  endpoint('GET', '/things/special'),
  endpoint('POST', '/things/{id}/done'),
  endpoint('GET', '/open', null),
])

test('a literal path goes before a parameter', () => {
  assert.equal(find('GET', '/things/special')?.endpoint?.path, '/things/special')
  assert.equal(find('GET', '/things/other')?.endpoint?.path, '/things/{id}')
})

test('a parameter is one decoded segment that is not empty', () => {
  assert.equal(find('GET', '/things/a%2Fb%20c')?.parameter, 'a/b c')
  assert.equal(find('POST', '/things/7/done')?.parameter, '7')
  for (const path of ['/things/', '/things/a/b', '/things/%zz', '/Things/a', '/things', '', '/']) {
    assert.equal(find('GET', path), null, path)
  }
})

test('HEAD is found as GET, and what a path cannot be asked is told by what it can', () => {
  assert.equal(find('HEAD', '/open')?.endpoint?.path, '/open')
  const found = find('PATCH', '/things/1')
  assert.deepEqual([found?.endpoint, found?.methods, found?.isOpen], [null, ['GET', 'DELETE'], false])
  assert.equal(find('POST', '/open')?.isOpen, true)
})
