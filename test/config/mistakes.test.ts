import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ENV, type Files, GATEWAY, loadWorld, ROUTES, SOUND } from './world.ts'

/** A text that is there once, and what stands there instead. */
type Edit = readonly [file: string, from: string, to: string]

interface Mistake {
  readonly edits: readonly Edit[]
  readonly files?: Files
  readonly env?: Readonly<Record<string, string>>
  /** `file:line:column` of the one finding. */
  readonly at: string
  /** Words that its message has. */
  readonly says: readonly RegExp[]
}

const gateway = (from: string, to: string, at: string, ...says: RegExp[]): Mistake => ({
  edits: [[GATEWAY, from, to]],
  at: `${GATEWAY}:${at}`,
  says,
})

const routes = (from: string, to: string, at: string, ...says: RegExp[]): Mistake => ({
  edits: [[ROUTES, from, to]],
  at: `${ROUTES}:${at}`,
  says,
})

const HEALTH = 'match: GET /health'
const STAFF = 'issuer: https://idp.example.com, audience: bank, jwksFile: jwks.json'
const ENTRY = '  - routes/*.yaml'
const ID = '$path.id'

const confined = (more: string): Edit => [
  GATEWAY,
  ENTRY,
  `  - { files: routes/*.yaml, public: [/health], secrets: [backend]${more} }`,
]

const IN_YAML: Readonly<Record<string, Mistake>> = {
  'a tab as indentation': routes('    match: GET /h', '\tmatch: GET /h', '9:1', /tab/, /expected spaces/),
  'a quote that is not closed': gateway(
    '"127.0.0.1:8080"',
    '"127.0.0.1:8080',
    '2:21',
    /no end of this quote/,
  ),
  'a bracket that is not closed': routes('[staff]', '[staff', '1:81', /no end of this bracket/),
  'a second document': gateway('engines:\n', '---\nengines:\n', '6:1', /second YAML document/),
  'a custom tag': gateway('{ env: BACKEND }', '!env BACKEND', '11:12', /custom tags/),
  'a NUL': routes('bank.example.com', 'bank\0.example.com', '1:23', /NUL/),
  'an alias without an anchor': routes(
    'host: bank.example.com',
    'host: *.example.com',
    '1:19',
    /needs quotes/,
  ),
  'a merge key': routes('    access: public', '    access: public\n    <<: {}', '11:5', /merge/),
  'a number as a key': gateway('  core:', '  7: {}\n  core:', '9:3', /number as a key/, /string/),
  'a duplicate key': gateway(
    '  core:',
    '  core: { url: "http://127.0.0.1:9" }\n  core:',
    '10:3',
    /"core" a second time/,
    /line 9/,
  ),
  'an empty file': { edits: [], files: { [ROUTES]: '' }, at: `${ROUTES}:1:1`, says: [/empty file/] },
  'a list at the top': {
    edits: [],
    files: { [ROUTES]: '- a\n' },
    at: `${ROUTES}:1:1`,
    says: [/a list at the top/],
  },
  'text that is not UTF-8': {
    edits: [],
    files: { [ROUTES]: Buffer.from([0x61, 0x3a, 0x20, 0xff]) },
    at: `${ROUTES}:1:4`,
    says: [/not UTF-8/],
  },
}

const IN_GATEWAY: Readonly<Record<string, Mistake>> = {
  'an unknown key': gateway(
    'upstreams:',
    'upstream: {}\nupstreams:',
    '8:1',
    /unknown key "upstream"/,
    /did you mean "upstreams"/,
  ),
  'an unknown key that is close to none': gateway(
    'upstreams:',
    'tls: {}\nupstreams:',
    '8:1',
    /unknown key "tls"/,
    /expected one of/,
  ),
  'an unknown key in an entry': gateway('{ url:', '{ timout: 5s, url:', '9:11', /unknown key "timout"/),
  'no version': gateway('version: 1\n', '', '1:1', /missing key "version"/, /expected 1/),
  'another version': gateway('version: 1', 'version: 2', '1:10', /expected 1/),
  'no listener': gateway('[{ bind: "127.0.0.1:8080" }]', '[]', '2:12', /empty list/, /at least 1 item/),
  'listeners that are no list': gateway(
    '[{ bind: "127.0.0.1:8080" }]',
    '8080',
    '2:12',
    /number 8080/,
    /a list/,
  ),
  'a listener without a port': gateway(
    '"127.0.0.1:8080"',
    'localhost',
    '2:21',
    /"localhost"/,
    /host:port|form/,
  ),
  'a port over 65535': gateway(':8080"', ':80800"', '2:21', /80800/, /65535/),
  'one address for two listeners': gateway(
    '[{ bind: "127.0.0.1:8080" }]',
    '[{ bind: "127.0.0.1:8080" }, { bind: "127.0.0.1:8080" }]',
    '2:49',
    /a second time/,
  ),
  'everybody as a trusted proxy': gateway(
    'bind: "127.0.0.1:8080"',
    'bind: "127.0.0.1:8080", trustedProxies: [{ cidrs: [0.0.0.0/0], headers: [x-forwarded-for] }]',
    '2:66',
    /0\.0\.0\.0\/0/,
    /everybody/,
  ),
  'everybody as a trusted proxy, by IPv6': gateway(
    'bind: "127.0.0.1:8080"',
    'bind: "127.0.0.1:8080", trustedProxies: [{ cidrs: ["::/0"], headers: [x-forwarded-for] }]',
    '2:66',
    /::\/0/,
    /everybody/,
  ),
  'a proxy that is no address': gateway(
    'bind: "127.0.0.1:8080"',
    'bind: "127.0.0.1:8080", trustedProxies: [{ cidrs: [10.0.0.0/33], headers: [forwarded] }]',
    '2:66',
    /"10\.0\.0\.0\/33"/,
    /expected/,
  ),
  'a header that no proxy is believed in': gateway(
    'bind: "127.0.0.1:8080"',
    'bind: "127.0.0.1:8080", trustedProxies: [{ cidrs: [10.0.0.1], headers: [x-forwarded-fro] }]',
    '2:87',
    /"x-forwarded-fro"/,
    /did you mean "x-forwarded-for"/,
  ),
  'several workers without a key that all of them sign with': gateway(
    'version: 1',
    'version: 1\nworkers: 4',
    '2:10',
    /assertion\.keyFile/,
  ),
  'a mode that is not available': gateway(
    'version: 1',
    'version: 1\nmode: enforcing',
    '2:7',
    /"enforcing"/,
    /enforce, observe/,
  ),
  'a duration without a unit': gateway(
    'version: 1',
    'version: 1\ndrainTimeout: 10',
    '2:15',
    /number 10/,
    /500ms/,
  ),
  'a duration in another unit': gateway(
    'version: 1',
    'version: 1\ndrainTimeout: 2 days',
    '2:15',
    /"2 days"/,
    /500ms/,
  ),
  'a duration that is too short': gateway(
    'version: 1',
    'version: 1\nlimits: { headersTimeout: 5ms }',
    '2:27',
    /5ms/,
    /at least 100ms/,
  ),
  'a size as a string': gateway(
    'version: 1',
    'version: 1\nlimits: { bodyBytes: 1MB }',
    '2:22',
    /"1MB"/,
    /a number|whole number/,
  ),
  'an admin port without a token': gateway(
    'version: 1',
    'version: 1\nadmin: { bind: "127.0.0.1:9901" }',
    '2:1',
    /missing key "token"/,
  ),
  'an admin port with token and tokens': gateway(
    'version: 1',
    'version: 1\nadmin: { bind: "127.0.0.1:9901", token: { env: BACKEND }, tokens: [{ name: a, token: { env: BACKEND }, may: [read] }] }',
    '2:59',
    /both token and tokens/,
  ),
  'a token that may what there is not': gateway(
    'version: 1',
    'version: 1\nadmin: { bind: "127.0.0.1:9901", tokens: [{ name: a, token: { env: BACKEND }, may: [reed] }] }',
    '2:85',
    /did you mean "read"/,
  ),
  'a secret as text': gateway(
    '{ env: BACKEND }',
    'hunter2',
    '11:12',
    /never text in the file/,
    /\{ env: NAME \}/,
  ),
  'a secret from both env and file': gateway(
    '{ env: BACKEND }',
    '{ env: BACKEND, file: x }',
    '11:12',
    /either env or file/,
  ),
  'a secret that is not in the environment': gateway(
    '{ env: BACKEND }',
    '{ env: BACK_END }',
    '11:19',
    /BACK_END is not set/,
  ),
  'a secret that is empty': {
    edits: [],
    env: { BACKEND: '' },
    at: `${GATEWAY}:11:19`,
    says: [/BACKEND is empty/],
  },
  'a secret whose file is not there': gateway(
    '{ env: BACKEND }',
    '{ file: nowhere }',
    '11:20',
    /no such file/,
  ),
  'a secret whose file is empty': {
    edits: [[GATEWAY, '{ env: BACKEND }', '{ file: s.txt }']],
    files: { 's.txt': '\n' },
    at: `${GATEWAY}:11:20`,
    says: [/empty/],
  },
  'a secret in the place of its name': gateway(
    '{ env: BACKEND }',
    '{ env: "s3cr3t!" }',
    '11:19',
    /cannot name an environment variable/,
  ),
  'an unknown kind of authenticator': gateway(
    'type: jwt,',
    'type: jtw,',
    '4:18',
    /"jtw"/,
    /one of jwt, .*api-key, anonymous/,
    /did you mean "jwt"/,
  ),
  'an authenticator without a type': gateway('type: jwt, ', '', '4:3', /missing key "type"/, /jwt/),
  'an authenticator without an issuer': gateway(
    'issuer: https://idp.example.com, ',
    '',
    '4:3',
    /missing key "issuer"/,
  ),
  'an unknown algorithm': gateway(
    STAFF,
    `${STAFF}, algorithms: [RS265]`,
    '4:106',
    /"RS265"/,
    /did you mean "RS256"/,
  ),
  'a file of keys that is not there': gateway(
    'jwks.json',
    'jwsk.json',
    '4:82',
    /"jwsk\.json"/,
    /no such file/,
  ),
  'a file of keys that is none': {
    edits: [],
    files: { 'jwks.json': '[]' },
    at: `${GATEWAY}:4:82`,
    says: [/./],
  },
  'a claim mapping that is no expression': gateway(
    STAFF,
    `${STAFF}, subject: { id: $claim.sub }`,
    '4:109',
    /claim/,
    /did you mean "claims"/,
  ),
  'a key that is no hash': {
    edits: [['keys.yaml', 'sha256:7b', 'sha1:7b']],
    at: 'keys.yaml:3:11',
    says: [/sha256:/, /keys new/],
  },
  'a key that is there twice': {
    edits: [
      [
        'keys.yaml',
        'keys:\n',
        `keys:\n  - { id: acme-1, hash: "sha256:${'0'.repeat(64)}", subject: { type: Partner, id: b } }\n`,
      ],
    ],
    at: 'keys.yaml:3:9',
    says: [/same id/],
  },
  'credentials that two authenticators would take': gateway(
    'engines:',
    `  more: { type: jwt, ${STAFF}, subject: { type: Other } }\nengines:`,
    '6:3',
    /same credentials as "staff"/,
  ),
  'subjects that cannot be told apart': gateway(
    'engines:',
    `  more: { type: jwt, issuer: https://other.example.com, audience: bank, jwksFile: jwks.json }\nengines:`,
    '6:3',
    /"staff"/,
    /prefix/,
  ),
  'an unknown kind of engine': gateway('type: cedar', 'type: ceder', '7:17', /"ceder"/, /cedar/),
  'a pattern of policies that matches nothing': gateway(
    'policies/*.cedar',
    'policy/*.cedar',
    '7:35',
    /"policy\/\*\.cedar"/,
    /no file/,
  ),
  'an upstream without a url': gateway('{ url: "http://127.0.0.1:9000" }', '{}', '9:9', /url/),
  'an upstream with a path': gateway('127.0.0.1:9000', '127.0.0.1:9000/api', '9:16', /path/),
  'an upstream by another protocol': gateway('http://127', 'ftp://127', '9:16', /http: or https:/),
  'an upstream with a password': gateway('http://127', 'http://u:hunter2@127', '9:16', /without user/),
  'an unknown kind of sink': gateway('type: file', 'type: fiel', '13:13', /"fiel"/, /file/),
  'a sink without a path': gateway(', path: log/decisions.ndjson', '', '13:5', /missing key "path"/),
  'a shared store of grants without a key': gateway(
    'version: 1',
    'version: 1\ngrants: { store: "redis://h" }',
    '2:18',
    /grants\.secret/,
  ),
  'a store of grants that is none': gateway(
    'version: 1',
    'version: 1\ngrants: { store: "redis://user:secret@h" }',
    '2:18',
    /expected memory, redis/,
  ),
  'a key for assertions that is none': {
    edits: [[GATEWAY, 'version: 1', 'version: 1\nassertion: { keyFile: keys.yaml }']],
    at: `${GATEWAY}:2:23`,
    says: [/private key/],
  },
  'a pattern of routes that matches nothing': gateway(
    'routes/*.yaml',
    'route/*.yaml',
    '15:5',
    /"route\/\*\.yaml"/,
    /no file/,
  ),
  'a file that two entries name': gateway(
    ENTRY,
    '  - routes/bank.yaml\n  - { files: routes/bank.yaml, public: [/health] }',
    '16:14',
    /"routes\/bank\.yaml"/,
    /line 15/,
  ),
  'a file that two patterns match': gateway(
    ENTRY,
    `${ENTRY}\n  - { files: rout*/bank.yaml, public: [/health] }`,
    '16:14',
    /"routes\/bank\.yaml"/,
    /line 15/,
  ),
  'a confinement to an engine that there is not': gateway(
    ENTRY,
    '  - { files: routes/*.yaml, public: [/health], engines: [bank, bnak] }',
    '15:64',
    /unknown engine "bnak"/,
    /did you mean "bank"/,
  ),
  'a public path that is none': gateway(
    ENTRY,
    '  - { files: routes/*.yaml, public: [/health, "/a/{"] }',
    '15:47',
    /"\/a\/\{"/,
  ),
}

const IN_ROUTES: Readonly<Record<string, Mistake>> = {
  'an unknown key of a route': routes(
    HEALTH,
    `${HEALTH}\n    acces: public`,
    '10:5',
    /unknown key "acces"/,
    /did you mean "access"/,
  ),
  'a route without a name': routes('  - name: health\n    match', '  - match', '8:5', /missing key "name"/),
  'a route without a match': routes(`    ${HEALTH}\n`, '', '8:5', /missing key "match"/, /a string or a map/),
  'a match that is a number': routes(HEALTH, 'match: 7', '9:12', /a number/, /a string or a map/),
  'a match without a method': routes(HEALTH, 'match: /health', '9:12', /"\/health"/, /GET \/accounts/),
  'an unknown method': routes(HEALTH, 'match: GTE /health', '9:12', /"GTE"/),
  'a mistake in the long form of a match': routes(
    HEALTH,
    'match: { path: /health, methods: [] }',
    '9:38',
    /empty list/,
    /at least 1/,
  ),
  'an access that there is not': routes(
    'access: public',
    'access: pubic',
    '10:13',
    /"pubic"/,
    /did you mean "public"/,
  ),
  'a name that is there twice': routes(
    'name: health',
    'name: read-account',
    '8:11',
    /"read-account" a second time/,
    /line 3/,
  ),
  'a name that another file has': {
    edits: [],
    files: {
      'routes/other.yaml':
        'defaults: { upstream: core }\nroutes:\n  - { name: health, match: GET /other, access: public }\n',
    },
    at: 'routes/other.yaml:3:13',
    says: [/"health" a second time/, /bank\.yaml:8/],
  },
  'an unknown upstream': routes(
    'upstream: core',
    'upstream: croe',
    '1:47',
    /unknown upstream "croe"/,
    /did you mean "core"/,
  ),
  'an engine on a public route': routes(
    'access: public',
    'access: public\n    engine: bank',
    '11:5',
    /engine on a public route/,
  ),
  'an unknown engine of a protected route': routes(
    'evaluation:',
    'engine: bnk\n    evaluation:',
    '5:13',
    /unknown engine "bnk"/,
    /did you mean "bank"/,
  ),
  'an unknown authenticator': routes(
    '[staff]',
    '[staf]',
    '1:82',
    /unknown authenticator "staf"/,
    /did you mean "staff"/,
  ),
  'an authenticator that is listed twice': routes(
    '[staff]',
    '[staff, staff]',
    '1:89',
    /"staff" a second time/,
  ),
  'authenticators that are no list': routes('[staff]', 'staff', '1:81', /"staff"/, /a list/),
  'no authenticator at all': routes('[staff]', '[]', '1:81', /empty list/, /at least 1/),
  'a protected route without an engine': routes(' engine: bank,', '', '3:5', /missing key "engine"/),
  'a protected route without an authenticator': routes(
    ', authenticate: [staff]',
    '',
    '3:5',
    /missing key "authenticate"/,
  ),
  'a protected route without a question': routes('    access: public\n', '', '8:5', /evaluation/),
  'a route with both forms of a question': routes(
    'evaluation:',
    'evaluations: { evaluations: [{}] }\n    evaluation:',
    '5:5',
    /evaluation and evaluations/,
  ),
  'a public route with a question': routes(
    'access: public',
    'access: public\n    evaluation: { action: a, resource: { type: T, id: i } }',
    '11:5',
    /public/,
  ),
  'a question without a resource': routes(
    '      resource: { type: Account, id: $path.id }\n',
    '',
    '5:5',
    /missing key "resource"/,
  ),
  'a capture that the template lacks': routes(ID, '$path.ident', '7:44', /"ident"/, /id/),
  'an expression that cannot be read': routes(ID, '$path.id +', '7:48', /./),
  'an unknown name in an expression': routes(ID, '$paht.id', '7:39', /paht/, /did you mean "path"/),
  'a type that does not fit': routes(ID, '$path.id && true', '7:39', /./),
  'a pattern that takes for ever in an expression': routes(
    ID,
    '"$path.id.matches(\'^(a+)+$\') ? path.id : path.id"',
    '7:56',
    /pattern is unsafe/,
  ),
  'a pattern that takes for ever in a path': routes('{id}', '{id:(a+)+b}', '4:30', /./),
  'two routes that cannot be told apart': routes(
    'routes:\n',
    'routes:\n  - { name: h2, match: GET /health, access: public }\n',
    '10:12',
    /"h2"/,
    /told apart/,
    /line 3/,
  ),
  'a path that is kept for the gateway': routes(
    'GET /health',
    'GET /.well-known/sallyport/x',
    '9:16',
    /kept/,
  ),
  'a wildcard of another language': routes('GET /health', 'GET /health/*', '9:24', /\{\*rest\}/),
  'an encoded slash without the opt-in': routes('GET /health', 'GET /a%2Fb', '9:16', /allowEncodedSlash/),
  'a header that frames the message': routes(
    'access: public',
    'access: public\n    headers: { Content-Length: "1" }',
    '11:16',
    /Content-Length/,
  ),
  'a header that is the host': routes(
    'access: public',
    'access: public\n    headers: { Host: x }',
    '11:16',
    /Host/,
  ),
  "a header that is Sallyport's": routes(
    'access: public',
    'access: public\n    headers: { Sallyport-Assertion: x }',
    '11:16',
    /Sallyport/,
  ),
  'an unknown secret in a header': routes(
    'access: public',
    'access: public\n    headers: { X-Key: $secrets.backnd }',
    '11:32',
    /"backnd"/,
    /did you mean "backend"/,
  ),
  'a claim on a public route': routes(
    'access: public',
    'access: public\n    headers: { X-User: $claims.sub }',
    '11:25',
    /public route/,
  ),
  'a credential in a mapping': routes(
    ID,
    '"$request.headers[\'x-api-key\']"',
    '7:56',
    /x-api-key cannot be read/,
  ),
  'a host that is none': routes('bank.example.com', 'https://bank', '1:19', /host name/),
  'a host that the entry does not allow': {
    edits: [confined(', hosts: [other.example.com]')],
    at: `${ROUTES}:1:19`,
    says: [/"bank\.example\.com"/, /other\.example\.com/],
  },
  'a route for all hosts where the entry allows some': {
    edits: [
      confined(', hosts: ["*.example.com"]'),
      [ROUTES, 'host: bank.example.com, ', ''],
      [ROUTES, HEALTH, `host: a.example.com\n    ${HEALTH}`],
    ],
    at: `${ROUTES}:3:5`,
    says: [/missing key "host"/, /\*\.example\.com/],
  },
  'an upstream that the entry does not allow': {
    edits: [confined(', upstreams: []')],
    at: `${ROUTES}:1:47`,
    says: [/"core"/, /may not use/],
  },
  'an engine that the entry does not allow': {
    edits: [confined(', engines: []')],
    at: `${ROUTES}:1:61`,
    says: [/"bank"/, /may not use/],
  },
  'an authenticator that the entry does not allow': {
    edits: [confined(', authenticators: [partners]')],
    at: `${ROUTES}:1:82`,
    says: [/"staff"/, /only partners/],
  },
  'a public route that the entry does not allow': {
    edits: [[GATEWAY, ENTRY, '  - { files: routes/*.yaml, public: [/status, /assets/*] }']],
    at: `${ROUTES}:10:13`,
    says: [/public route on \/health/, /\/status, \/assets\/\*/],
  },
  'a public route where the entry allows none': {
    edits: [[GATEWAY, ENTRY, '  - { files: routes/*.yaml }']],
    at: `${ROUTES}:10:13`,
    says: [/none is allowed/],
  },
  'a rewrite that would lead a public route elsewhere': {
    edits: [confined(''), [ROUTES, 'access: public', 'access: public\n    rewrite: /admin']],
    at: `${ROUTES}:11:5`,
    says: [/rewrite on a public route/],
  },
  'a secret that the entry does not allow': {
    edits: [
      [GATEWAY, ENTRY, '  - { files: routes/*.yaml, public: [/health] }'],
      [ROUTES, 'access: public', 'access: public\n    headers: { X-Key: $secrets.backend }'],
    ],
    at: `${ROUTES}:11:32`,
    says: [/secrets has no "backend"/],
  },
  'a grant that is no duration': routes(
    'evaluation:',
    'grant: { ttl: soon }\n    evaluation:',
    '5:19',
    /"soon"/,
    /500ms/,
  ),
  'a grant that is a number': routes(
    'evaluation:',
    'grant: 5\n    evaluation:',
    '5:12',
    /a number/,
    /none or a map/,
  ),
  'a grant on a public route': routes(
    'access: public',
    'access: public\n    grant: none',
    '11:5',
    /grant on a public route/,
  ),
}

const IN_CEDAR: Readonly<Record<string, Mistake>> = {
  'a policy that does not parse': {
    edits: [['policies/bank.cedar', 'permit (', 'permt (']],
    at: 'policies/bank.cedar:2:1',
    says: [/permt/],
  },
  'a policy that does not fit its schema': {
    edits: [['policies/bank.cedar', 'is Account', 'is Acount']],
    at: 'policies/bank.cedar:2:66',
    says: [/Acount/],
  },
  'a policy id that is there twice': {
    edits: [],
    files: {
      'policies/more.cedar': '@id("owner-read")\nforbid (principal is Partner, action, resource);\n',
    },
    at: 'policies/more.cedar:1:1',
    says: [/owner-read/],
  },
  'a schema that does not parse': {
    edits: [['bank.cedarschema', 'entity Account;', 'entity Account']],
    at: 'bank.cedarschema:4:1',
    says: [/./],
  },
}

const edited = (files: Files, edits: readonly Edit[]): Files => {
  const result = { ...files }
  for (const [file, from, to] of edits) {
    const text = String(result[file])
    assert.equal(text.split(from).length, 2, `${from} is there once in ${file}`)
    result[file] = text.replace(from, () => to)
  }
  return result
}

test('the configuration that the mistakes are made in has none', async () => {
  const { lines, configuration } = await loadWorld(SOUND)
  assert.deepEqual(lines, [])
  assert.equal(configuration?.routes.length, 2)
})

for (const [name, mistake] of Object.entries({ ...IN_YAML, ...IN_GATEWAY, ...IN_ROUTES, ...IN_CEDAR })) {
  test(`${name} is one line with its place`, async () => {
    const files = edited({ ...SOUND, ...mistake.files }, mistake.edits)
    const { lines, configuration } = await loadWorld(files, mistake.env ?? ENV)
    assert.equal(configuration, null)
    assert.equal(lines.length, 1, lines.join('\n'))
    const [line = ''] = lines
    assert.ok(line.startsWith(`${mistake.at}: error: `), line)
    for (const words of mistake.says) assert.match(line, words)
    assert.doesNotMatch(line, /hunter2|s3cr3t/)
    assert.doesNotMatch(line, /\n/)
  })
}
