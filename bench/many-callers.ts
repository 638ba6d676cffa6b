// Ten thousand callers, each asking for ten things on different routes; fails when one is refused.
import { readFileSync } from 'node:fs'
import { Pool } from 'undici'

interface Plan {
  readonly port: number
  readonly host: string
  readonly routes: number
  readonly perToken: number
  readonly tokens: readonly string[]
}

const plan = JSON.parse(readFileSync(0, 'utf8')) as Plan
const CONNECTIONS = 32
const pool = new Pool(`http://127.0.0.1:${plan.port}`, { connections: CONNECTIONS })

const total = plan.tokens.length * plan.perToken
let next = 0

const work = async (): Promise<void> => {
  for (let number = next++; number < total; number = next++) {
    const token = plan.tokens[Math.floor(number / plan.perToken)]
    const route = number % plan.routes
    const { statusCode, body } = await pool.request({
      method: 'GET',
      path: route === 0 ? `/accounts/${number}` : `/s${route}/accounts/${number}`,
      headers: { host: plan.host, authorization: `Bearer ${token}` },
    })
    await body.dump()
    if (statusCode !== 200) throw new Error(`request ${number} was answered ${statusCode}`)
  }
}

await Promise.all(Array.from({ length: CONNECTIONS }, work))
await pool.close()
