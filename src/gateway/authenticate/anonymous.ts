import { z } from 'zod'
import { type Description, defineAuthenticator } from './authenticator.ts'
import { credentialDigest } from './credential-digest.ts'
import { prefixField } from './subject.ts'

const NOBODY = { type: 'Anonymous', id: 'anonymous' }

/** A caller who presents nothing. It decides only when nothing came by any carrier of the route's list. */
export const anonymous = defineAuthenticator({
  type: 'anonymous',
  config: () =>
    z.strictObject({
      type: z.literal('anonymous'),
      subject: z
        .strictObject({
          type: z.string().min(1).describe('Type of the subject.'),
          id: z.string().min(1).describe('Id of the subject.'),
        })
        .default(NOBODY)
        .describe('The subject of every such request, default { type: Anonymous, id: anonymous }.'),
      prefix: prefixField(),
    }),
  prepare: (name, config) => {
    const prefix = config.prefix ?? ''
    const description: Description = {
      carrier: { kind: 'none' },
      selector: {},
      subjectTypes: [config.subject.type],
      prefix,
    }
    const verified = {
      identity: {
        subject: { type: config.subject.type, id: prefix + config.subject.id },
        credential: {
          type: 'anonymous',
          authenticator: name,
          id: 'anonymous',
          digest: credentialDigest(name, ''),
        },
        claims: {},
      },
      keep: null,
    }
    return {
      description,
      create: () => ({ challenge: null, declines: () => null, authenticate: () => verified }),
    }
  },
})
