import { readFileSync } from 'node:fs'

/** The version in the package's own `package.json`. */
export const version = (): string => {
  const file = new URL('../../../package.json', import.meta.url)
  const parsed: unknown = JSON.parse(readFileSync(file, 'utf8'))
  const found = typeof parsed === 'object' && parsed !== null && 'version' in parsed ? parsed.version : null
  return typeof found === 'string' ? found : 'unknown'
}
