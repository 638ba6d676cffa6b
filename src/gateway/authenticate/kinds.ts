import { anonymous } from './anonymous.ts'
import { apiKey } from './api-key.ts'
import { introspection } from './introspection.ts'
import { jwt } from './jwt.ts'
import { jwtSvid } from './jwt-svid.ts'
import { mtls } from './mtls.ts'
import { oidc } from './oidc.ts'

/** Every kind of authenticator. */
export const AUTHENTICATOR_KINDS = [
  // One a line, so that one more is one line more.
  jwt,
  jwtSvid,
  introspection,
  mtls,
  oidc,
  apiKey,
  anonymous,
] as const
