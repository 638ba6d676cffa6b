/** Where a listener that speaks `authzen` answers. @see https://openid.net/specs/authorization-api-1_0.html */
export const AUTHZEN_PATHS = {
  evaluation: '/access/v1/evaluation',
  evaluations: '/access/v1/evaluations',
  metadata: '/.well-known/authzen-configuration',
} as const
