/** One request of the walkthrough, as data. */
export interface StepRequest {
  readonly method: 'GET' | 'POST'
  /** Sent byte for byte. */
  readonly path: string
  /** Who sends a token; nobody when left out. */
  readonly as?: 'alice' | 'bob' | 'carol'
  /** The token says that a second factor was used. */
  readonly mfa?: boolean
  /** Opens a page in the browser of this person, who signs in when asked to; with whatever cookies it has by now. */
  readonly browser?: 'alice' | 'bob'
  /** Signs out of the browser first, and does not sign in again. */
  readonly signsOutFirst?: boolean
  /** Sends the partner's API key. */
  readonly partner?: boolean
  readonly headers?: Readonly<Record<string, string>>
  readonly json?: object
  /** Hangs up after the first chunk of an answer that never ends. */
  readonly firstChunkOnly?: boolean
  /** Once the first chunk is there, revokes the grants of this subject, `Type::id`, and reads until the answer ends. */
  readonly thenRevoke?: string
  /** Opens a WebSocket, reads the first message and hangs up. */
  readonly webSocket?: boolean
}

export interface StepExpectation {
  readonly status: number
  readonly decision: 'allow' | 'deny'
  readonly code: string
  readonly source?: string
  /** Sorted policy ids. */
  readonly reasons?: readonly string[]
  /** A part of the answer's body. */
  readonly answer?: string
  /** What must not be in it. */
  readonly lacks?: string
  /** What the record of the end says, of an answer that was ended. */
  readonly end?: { readonly code: string; readonly reason: string }
}

export interface Step {
  readonly title: string
  readonly request: StepRequest
  readonly expect: StepExpectation
  /** Shows how long it took beside the step before. */
  readonly besidePrevious?: boolean
}

const readOwn = { method: 'GET', path: '/accounts/1001', as: 'alice' } as const
const order = (to: string, amountCents: number) => ({ to, amountCents })

/** What the demo shows, in order. */
export const STEPS: readonly Step[] = [
  {
    title: 'Alice reads her own account',
    request: readOwn,
    expect: {
      status: 200,
      decision: 'allow',
      code: 'allowed',
      source: 'engine',
      reasons: ['owner-read'],
      answer: '"owner":"alice"',
    },
  },
  {
    title: 'The same request again: the answer is kept as a grant, and the engine is not asked',
    request: readOwn,
    expect: { status: 200, decision: 'allow', code: 'allowed', source: 'grant', reasons: ['owner-read'] },
    besidePrevious: true,
  },
  {
    title: 'The same request without a token',
    request: { method: 'GET', path: '/accounts/1001' },
    expect: { status: 401, decision: 'deny', code: 'unauthenticated', source: 'authenticate' },
  },
  {
    title: "Alice tries somebody else's account: no policy permits it",
    request: { method: 'GET', path: '/accounts/2001', as: 'alice' },
    expect: { status: 403, decision: 'deny', code: 'denied', source: 'engine', reasons: [] },
  },
  {
    title: 'Carol is a clerk, and may',
    request: { method: 'GET', path: '/accounts/2001', as: 'carol' },
    expect: { status: 200, decision: 'allow', code: 'allowed', source: 'engine', reasons: ['clerk-read'] },
  },
  {
    title: 'Bob moves money out of an account that is frozen: denied, with the policy that did it',
    request: { method: 'POST', path: '/accounts/2002/transfers', as: 'bob', json: order('1001', 1_000) },
    expect: { status: 403, decision: 'deny', code: 'denied', source: 'engine', reasons: ['frozen-account'] },
  },
  {
    title: 'Alice pays Bob 250.00: two questions, one for each account',
    request: { method: 'POST', path: '/accounts/1001/transfers', as: 'alice', json: order('2001', 25_000) },
    expect: {
      status: 201,
      decision: 'allow',
      code: 'allowed',
      source: 'engine',
      reasons: ['credit-known-account', 'owner-transfer'],
      answer: '"orderedBy":"alice"',
    },
  },
  {
    title: 'Alice pays Bob 5,000.00: the amount is in the body, and over the limit',
    request: { method: 'POST', path: '/accounts/1002/transfers', as: 'alice', json: order('2001', 500_000) },
    expect: { status: 403, decision: 'deny', code: 'denied', source: 'engine', reasons: ['transfer-limit'] },
  },
  {
    title: 'The same with a second factor in her token',
    request: {
      method: 'POST',
      path: '/accounts/1002/transfers',
      as: 'alice',
      mfa: true,
      json: order('2001', 500_000),
    },
    expect: {
      status: 201,
      decision: 'allow',
      code: 'allowed',
      source: 'engine',
      reasons: ['credit-known-account', 'owner-transfer'],
    },
  },
  {
    title: 'Alice says that she is Bob: the application is told who she really is',
    request: { method: 'GET', path: '/whoami', as: 'alice', headers: { 'X-Remote-User': 'bob' } },
    expect: {
      status: 200,
      decision: 'allow',
      code: 'allowed',
      reasons: ['user-application'],
      answer: '"user":"alice"',
    },
  },
  {
    title: "Alice takes a path that some servers would read as Bob's account",
    request: { method: 'GET', path: '/accounts/1001/../2001', as: 'alice' },
    expect: { status: 400, decision: 'deny', code: 'bad_request', source: 'accept' },
  },
  {
    title: 'The same path in disguise',
    request: { method: 'GET', path: '/accounts/1001/%2e%2e/2001', as: 'alice' },
    expect: { status: 400, decision: 'deny', code: 'bad_request', source: 'accept' },
  },
  {
    title: 'A partner watches the ticker with an API key: the stream comes through as it is sent',
    request: { method: 'GET', path: '/ticker', partner: true, firstChunkOnly: true },
    expect: {
      status: 200,
      decision: 'allow',
      code: 'allowed',
      source: 'engine',
      reasons: ['partner-watch'],
      answer: 'event: rate',
    },
  },
  {
    title: 'Alice opens a WebSocket to the desk: decided before it opens, and the desk knows who she is',
    request: { method: 'GET', path: '/desk', as: 'alice', webSocket: true },
    expect: {
      status: 101,
      decision: 'allow',
      code: 'allowed',
      source: 'engine',
      reasons: ['user-application'],
      answer: 'Good day alice',
    },
  },
  {
    title: 'Nobody in particular does not get that far',
    request: { method: 'GET', path: '/desk', webSocket: true },
    expect: { status: 401, decision: 'deny', code: 'unauthenticated', source: 'authenticate' },
  },
  {
    title: 'The partner watches again, access is taken back, and the ticker that runs is closed',
    request: { method: 'GET', path: '/ticker', partner: true, thenRevoke: 'Partner::acme' },
    expect: {
      status: 200,
      decision: 'allow',
      code: 'allowed',
      reasons: ['partner-watch'],
      answer: 'event: rate',
      end: { code: 'denied', reason: 'revoked' },
    },
  },
  {
    title: 'The partner comes back: nothing that was granted is left, and the engine is asked again',
    request: { method: 'GET', path: '/ticker', partner: true, firstChunkOnly: true },
    expect: {
      status: 200,
      decision: 'allow',
      code: 'allowed',
      source: 'engine',
      reasons: ['partner-watch'],
    },
  },
  {
    title: 'Bob opens the bank in a browser: sent to sign in, he comes back and sees his own accounts',
    request: { method: 'GET', path: '/', browser: 'bob' },
    expect: {
      status: 200,
      decision: 'allow',
      code: 'allowed',
      source: 'engine',
      reasons: ['user-application'],
      answer: '/accounts/2001',
      lacks: '/accounts/1001',
    },
  },
  {
    title: 'He types the number of an account of Alice: a page that says no',
    request: { method: 'GET', path: '/open?number=1001', browser: 'bob' },
    expect: {
      status: 403,
      decision: 'deny',
      code: 'denied',
      source: 'engine',
      reasons: [],
      answer: '<h1>Access is denied</h1>',
      lacks: 'alice',
    },
  },
  {
    title: 'Alice, in her browser, goes straight to that account: she is back there once she has signed in',
    request: { method: 'GET', path: '/accounts/1001', browser: 'alice' },
    expect: {
      status: 200,
      decision: 'allow',
      code: 'allowed',
      source: 'engine',
      reasons: ['owner-read'],
      answer: '<td id="owner">alice</td>',
    },
  },
  {
    title: "Bob's account is not hers to see, by a browser as little as by a token",
    request: { method: 'GET', path: '/accounts/2001', browser: 'alice' },
    expect: { status: 403, decision: 'deny', code: 'denied', source: 'engine', reasons: [], lacks: 'bob' },
  },
  {
    title: 'She signs out, and her browser has to sign in before it shows anything',
    request: { method: 'GET', path: '/accounts/1001', browser: 'alice', signsOutFirst: true },
    expect: { status: 302, decision: 'deny', code: 'unauthenticated', source: 'authenticate' },
  },
]
