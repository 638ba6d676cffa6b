import {
  createSealer,
  deriveSecret,
  sealingPurpose,
} from '../../../../src/gateway/authenticate/oidc/sealing.ts'
import { parseSession, type Session, sessionJson } from '../../../../src/gateway/authenticate/oidc/session.ts'
import { CLIENT_ID, CLIENT_SECRET } from '../../../support/identity-provider.ts'
import type { Visitor } from '../../../support/visitor.ts'
import { type OidcWorld, sessionOf } from './world.ts'

/** Opens and seals sessions as the gateway does that has the secret: for what would take hours otherwise. */
const sealerFor = (
  world: OidcWorld,
  secret: Uint8Array | null = deriveSecret(CLIENT_SECRET, CLIENT_ID),
  what: 'session' | 'login' = 'session',
) => {
  if (secret === null) throw new Error('no secret')
  const names = { name: 'browser', issuer: world.provider.issuer, clientId: CLIENT_ID }
  return createSealer([secret], sealingPurpose(what, names))
}

export const openSession = async (
  world: OidcWorld,
  visitor: Visitor,
  secret?: Uint8Array,
): Promise<Session> => {
  const json = await sealerFor(world, secret).open(sessionOf(visitor, world).join(''))
  const session = json === null ? null : parseSession(json)
  if (session === null) throw new Error('the visitor has no session')
  return session
}

/** Gives the visitor another session in the place of the one that he has. */
export const changeSession = async (
  world: OidcWorld,
  visitor: Visitor,
  change: (session: Session) => Session,
  secret?: Uint8Array,
): Promise<void> => {
  const session = change(await openSession(world, visitor, secret))
  const jar = visitor.cookies(world.url)
  for (const name of [...jar.keys()]) if (name.startsWith('sallyport-browser')) jar.delete(name)
  jar.set('sallyport-browser', await sealerFor(world, secret).seal(sessionJson(session)))
}

/** The nonce of the sign-in that this visitor has begun. */
export const nonceOf = async (world: OidcWorld, visitor: Visitor): Promise<string> => {
  const [, cookie = ''] = [...visitor.cookies(world.url)].find(([name]) => name.includes('.login-')) ?? []
  const json = await sealerFor(world, undefined, 'login').open(cookie)
  return String(json?.nonce)
}

export const ago = (seconds: number): number => Math.floor(Date.now() / 1000) - seconds
