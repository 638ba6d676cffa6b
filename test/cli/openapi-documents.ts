/** Large documents in the shapes that public ones have; made here, so that nobody's licence is in the way. */

type Json = Readonly<Record<string, unknown>>

const operation = (operationId: string, more: Json = {}): Json => ({
  operationId,
  summary: `Does ${operationId}`,
  responses: { 200: { description: 'OK' } },
  ...more,
})

const idParameter = (name: string): Json => ({ name, in: 'path', required: true, schema: { type: 'string' } })

/** Nested collections below an owner and a repository, as code hosts have them; OpenAPI 3.0, references everywhere. */
export const codeHost = (): Json => {
  const things = [
    'issues',
    'pulls',
    'releases',
    'branches',
    'hooks',
    'keys',
    'labels',
    'milestones',
    'deployments',
  ]
  const more = ['environments', 'invitations', 'collaborators', 'comments', 'statuses', 'tags', 'check-runs']
  const paths: Record<string, Json> = {
    '/': { get: operation('meta/root', { security: [] }) },
    '/user': { get: operation('users/get-authenticated'), patch: operation('users/update-authenticated') },
    '/repos/{owner}/{repo}': {
      parameters: [{ $ref: '#/components/parameters/owner' }, { $ref: '#/components/parameters/repo' }],
      get: operation('repos/get'),
      patch: operation('repos/update'),
      delete: operation('repos/delete'),
    },
    '/repos/{owner}/{repo}/compare/{base}...{head}': { get: operation('repos/compare-commits') },
    '/repos/{owner}/{repo}/contents/{path}': {
      get: operation('repos/get-content'),
      put: operation('repos/create-or-update-file-contents'),
    },
    '/repos/{owner}/{repo}/{archive_format}/{ref}': {
      get: operation('repos/download-archive', { deprecated: true }),
    },
  }
  for (const thing of [...things, ...more]) {
    const item = thing.replace(/s$/, '').replaceAll('-', '_')
    paths[`/repos/{owner}/{repo}/${thing}`] = {
      get: operation(`${thing}/list`),
      post: operation(`${thing}/create`),
    }
    paths[`/repos/{owner}/{repo}/${thing}/{${item}_id}`] = {
      get: operation(`${thing}/get`),
      patch: operation(`${thing}/update`),
      delete: operation(`${thing}/delete`),
    }
    paths[`/repos/{owner}/{repo}/${thing}/{${item}_id}/lock`] = {
      put: operation(`${thing}/lock`),
      delete: operation(`${thing}/unlock`),
    }
  }
  return {
    openapi: '3.0.3',
    info: { title: 'A code host', version: '1.1.4' },
    servers: [{ url: 'https://code.example.com/api/v3' }],
    security: [{ token: [] }],
    paths,
    components: {
      parameters: { owner: idParameter('owner'), repo: idParameter('repo') },
      securitySchemes: { token: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' } },
    },
  }
}

/** Flat collections with verbs below an item, as payment services have them; OpenAPI 3.0, no operation ids in part. */
export const payments = (): Json => {
  const things = [
    'charges',
    'customers',
    'payouts',
    'refunds',
    'disputes',
    'invoices',
    'subscriptions',
    'transfers',
  ]
  const more = ['coupons', 'plans', 'prices', 'products', 'quotes', 'sources', 'tax_rates', 'payment_intents']
  const paths: Record<string, Json> = {}
  for (const thing of [...things, ...more]) {
    const name = thing.slice(0, -1)
    const { operationId: _none, ...nameless } = operation('x')
    paths[`/v1/${thing}`] = { get: operation(`list_${thing}`), post: nameless }
    paths[`/v1/${thing}/{${name}}`] = {
      get: operation(`get_${name}`),
      post: operation(`update_${name}`),
      delete: nameless,
    }
    paths[`/v1/${thing}/{${name}}/cancel`] = { post: operation(`cancel_${name}`) }
    paths[`/v1/${thing}/search`] = { get: operation(`search_${thing}`) }
  }
  paths['/v1/transfers/{transfer}/reversals'] = {
    post: operation('reverse_transfer', {
      'x-authzen': {
        evaluation: {
          action: 'reverse',
          resource: { type: 'Transfer', id: '$path.transfer' },
          context: { amount: '$body.amount' },
        },
      },
    }),
  }
  return {
    openapi: '3.0.0',
    info: { title: 'Payments', version: '2026-01-01' },
    servers: [{ url: 'https://{region}.pay.example.com/', variables: { region: { default: 'eu' } } }],
    security: [{ basic: [] }, { bearer: [] }],
    paths,
    components: {
      securitySchemes: {
        basic: { type: 'http', scheme: 'basic' },
        bearer: { type: 'http', scheme: 'bearer' },
      },
    },
  }
}

/** Custom verbs after a colon and names of many parts, as cloud services have them; OpenAPI 3.1, in several servers. */
export const cloud = (): Json => {
  const things = [
    'instances',
    'disks',
    'networks',
    'firewalls',
    'images',
    'snapshots',
    'addresses',
    'routers',
  ]
  const more = ['subnetworks', 'policies', 'zones', 'clusters', 'databases', 'buckets', 'queues', 'topics']
  const paths: Record<string, Json> = {}
  for (const thing of [...things, ...more]) {
    const base = `/v1/projects/{project-id}/locations/{location}/${thing}`
    paths[base] = { get: operation(`${thing}.list`), post: operation(`${thing}.create`) }
    paths[`${base}/{name}`] = {
      get: operation(`${thing}.get`),
      put: operation(`${thing}.replace`),
      delete: operation(`${thing}.delete`),
    }
    paths[`${base}/{name}:undelete`] = { post: operation(`${thing}.undelete`) }
    paths[`${base}/{name}/iamPolicy`] = {
      get: operation(`${thing}.getPolicy`),
      post: operation(`${thing}.setPolicy`),
    }
  }
  paths['/v1/operations/{in}'] = { get: operation('operations.get') }
  paths['/v1/broken/{a'] = { get: operation('broken') }
  paths['/v1/elsewhere'] = { $ref: 'https://example.com/other.json#/paths/x' }
  return {
    openapi: '3.1.0',
    info: { title: 'Cloud: everything', version: 'v1' },
    servers: [{ url: 'https://cloud.example.com' }, { url: 'https://cloud.example.org' }],
    paths,
    components: { securitySchemes: { oauth: { type: 'oauth2', flows: {} }, mutual: { type: 'mutualTLS' } } },
  }
}
