import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { AccessRequest } from '../../../../src/core/access-request.ts'
import { createContextBinding } from '../../../../src/gateway/decide/grants/context-binding.ts'

const begin = () => {
  const ended: string[] = []
  const binding = createContextBinding({ delete: (id) => ended.push(id) }, undefined)
  const seen = (grant: string, context: AccessRequest['context'], bindTo: readonly string[]) => {
    const request = {
      subject: { type: 'User', id: 'alice' },
      action: { name: 'read' },
      resource: { type: 'Account', id: '1' },
      context,
    }
    binding.seen(grant, [request], bindTo)
    return ended.splice(0)
  }
  return seen
}

const DEVICE = ['context.device']
const BOTH = ['context.device', 'context.address']

test('routes that are bound to different parts of the context leave each other alone', () => {
  const seen = begin()
  assert.deepEqual(seen('read', { device: 'laptop' }, DEVICE), [])
  assert.deepEqual(seen('pay', { device: 'laptop', address: 'home' }, BOTH), [])
  assert.deepEqual(seen('read', { device: 'laptop' }, DEVICE), [])
  assert.deepEqual(seen('pay', { device: 'laptop', address: 'home' }, BOTH), [])
})

test('a change that one route sees ends what others gave, as far as they are bound to that part', () => {
  const seen = begin()
  seen('read', { device: 'laptop' }, DEVICE)
  seen('pay', { device: 'laptop', address: 'home' }, BOTH)
  assert.deepEqual(seen('pay away', { device: 'laptop', address: 'away' }, BOTH), ['pay'])
  assert.deepEqual(seen('read by phone', { device: 'phone' }, DEVICE), ['read', 'pay', 'pay away'])
})
