import { anonymous } from './anonymous.ts'
import { apiKey } from './api-key.ts'
import { jwt } from './jwt.ts'

/** Every kind of authenticator. */
export const AUTHENTICATOR_KINDS = [jwt, apiKey, anonymous] as const
