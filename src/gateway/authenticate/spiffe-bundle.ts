import { isRecord, type KeySet, parseKeySet } from './jwks.ts'

/**
 * Reads the keys of a SPIFFE bundle that JWT-SVIDs are verified with.
 *
 * Only keys whose `use` is `jwt-svid` and that have a `kid` count; the rest are for others. No key at all is no
 * mistake: then nothing is trusted.
 *
 * @see https://github.com/spiffe/spiffe/blob/main/standards/SPIFFE_Trust_Domain_and_Bundle.md section 4.2
 */
export const parseSpiffeBundle = (json: unknown): KeySet | { readonly problem: string } => {
  const members = isRecord(json) ? json.keys : undefined
  if (!Array.isArray(members)) return { problem: 'it is not a JSON object with a list of "keys"' }
  const ours = members.flatMap((member: unknown) => {
    if (!isRecord(member) || member.use !== 'jwt-svid' || typeof member.kid !== 'string') return []
    const { use: _use, ...key } = member
    return [key]
  })
  if (ours.length === 0) return { keys: [], skipped: [], holdsSecret: false }
  return parseKeySet({ keys: ours })
}
