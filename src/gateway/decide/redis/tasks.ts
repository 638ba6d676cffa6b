import { z } from 'zod'
import type { SharedTasks, TaskOwner } from '../../../core/shared-tasks.ts'
import type { RedisLink } from './link.ts'
import type { Mac } from './mac.ts'

/** KEYS: a task. ARGV: whose it is if it is nobody's, how long it is remembered at least (ms). Returns whose it is. */
const CLAIM = `
local owner = redis.call('GET', KEYS[1])
if not owner then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return ARGV[1]
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return owner
`

const OWNER = z.tuple([z.string(), z.number()])

export interface RedisTasks {
  /** See `SharedTasks`. */
  readonly claim: (...args: Parameters<SharedTasks['claim']>) => Promise<TaskOwner | 'unavailable'>
}

/** Owners of tasks as keys of a Redis, with a MAC, so that writing there makes nobody an owner. */
export const createRedisTasks = ({
  link,
  keyPrefix,
  mac,
}: {
  readonly link: Pick<RedisLink, 'within'>
  readonly keyPrefix: string
  readonly mac: Mac
}): RedisTasks => ({
  claim: async (id, { subject, beganMs }, forMs, wait) => {
    const text = JSON.stringify([subject, Math.floor(beganMs)])
    const value = `${mac.sign(`task ${id}`, text)}.${text}`
    const key = `${keyPrefix}t:${mac.sign('name of a task', id)}`
    try {
      const reply = await link.within(wait).call('EVAL', CLAIM, 1, key, value, Math.max(1, Math.ceil(forMs)))
      return typeof reply === 'string' ? ownerIn(reply, id, mac) : 'unavailable'
    } catch {
      return 'unavailable'
    }
  },
})

const ownerIn = (value: string, id: string, mac: Mac): TaskOwner | 'unavailable' => {
  const dot = value.indexOf('.')
  const text = value.slice(dot + 1)
  if (!mac.isGood(`task ${id}`, text, value.slice(0, dot))) return 'unavailable'
  const [subject, beganMs] = OWNER.parse(JSON.parse(text))
  return { subject, beganMs }
}
