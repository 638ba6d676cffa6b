import fc from 'fast-check'
import { type City, HOST, tokenOf } from './city.ts'
import {
  AFTER_PATHS,
  BEFORE_PATHS,
  CHUNKED_ENDS,
  FORM_BODIES,
  HOSTS,
  INSERTED,
  JSON_BODIES,
  LINES,
  METHODS,
  PATHS,
  QUERY_KEYS,
  QUERY_VALUES,
  SEGMENTS,
  TYPES,
  VERSIONS,
  type Words,
} from './hostile-words.ts'

/** One request as it was meant; what a mutation made of it is only in the bytes. */
export interface MeantRequest {
  /** Stands in `X-Case`, once, so that the request is known again; `case-00000` and a number of three digits. */
  readonly label: string
  readonly target: string
  /** `Type::id` of whoever the credential stands for; null when there is none that is valid. */
  readonly subject: string | null
}

/** The bytes of one connection, Latin-1, before their labels are made unique. */
export interface Traffic {
  readonly text: string
  readonly meant: readonly MeantRequest[]
  readonly mutated: boolean
  /** Where the bytes are cut into several writes; fractions of the whole. */
  readonly cuts: readonly number[]
}

const often = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary })

/** A request of ten parts, each wild one time in sixteen, is wild about every other time. */
const from = ({ calm, wild }: Words, calmness = 15): fc.Arbitrary<string> =>
  fc.oneof(often(calmness, fc.constantFrom(...calm)), often(1, fc.constantFrom(...wild)))

const fraction = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true })

const segment = fc.oneof(
  often(24, from(SEGMENTS)),
  often(
    1,
    fc.array(fc.constantFrom(...'aZ0.-_~%/;:@&=+$,!*\\|"<>^`'), { maxLength: 6 }).map((c) => c.join('')),
  ),
  often(
    1,
    fc.integer({ min: 0, max: 255 }).map((byte) => `x%${byte.toString(16).padStart(2, '0')}y`),
  ),
)

const below = (folder: string, rest = ''): fc.Arbitrary<string> =>
  segment.map((name) => `${folder}/${name}${rest}`)

const path = fc.oneof(
  often(5, below('/accounts')),
  often(5, below('/accounts', '/transfers')),
  often(
    4,
    fc.array(segment, { minLength: 1, maxLength: 3 }).map((rest) => `/files/${rest.join('/')}`),
  ),
  often(3, below('/blobs')),
  often(3, below('/old')),
  often(1, below('/v2/things')),
  often(5, from(PATHS)),
)

const query = fc.oneof(
  often(2, fc.constant('')),
  often(
    1,
    fc
      .tuple(
        fc.array(fc.tuple(from(QUERY_KEYS), from(QUERY_VALUES)), { maxLength: 3 }),
        fc.oneof(often(9, fc.constant('&')), often(1, fc.constantFrom(';', '&&'))),
      )
      .map(([pairs, separator]) => `?${pairs.map((pair) => pair.join('')).join(separator)}`),
  ),
)

const target = fc
  .tuple(from(BEFORE_PATHS), path, from(AFTER_PATHS), query)
  .map(([before, where, behind, question]) => {
    if (!where.includes('?')) return before + where + behind + question
    return question === '' ? before + where : `${before}${where}&${question.slice(1)}`
  })

interface Framed {
  readonly lines: readonly string[]
  readonly body: string
}

type Framing = (body: string) => Framed

const sized = (body: string): readonly string[] => [`Content-Length: ${body.length}`]

const chunked = (body: string, cut: number, end: string): string => {
  const pieces = [body.slice(0, cut), body.slice(cut)].filter((piece) => piece !== '')
  return `${pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join('')}${end}`
}

const END = '0\r\n\r\n'

/** Both lengths, none, wrong ones, and codings that some would take for chunked. */
const ODD_FRAMINGS: readonly Framing[] = [
  (body) => ({ lines: [...sized(body), 'Transfer-Encoding: chunked'], body }),
  (body) => ({ lines: ['Content-Length: 4', 'Transfer-Encoding: chunked'], body: chunked(body, 0, END) }),
  ...[
    'xchunked',
    'chunked, identity',
    'identity',
    'gzip, chunked',
    'chunked, chunked',
    '\tchunked',
    'chunked\x0b',
  ].map(
    (coding): Framing =>
      (body) => ({ lines: [`Transfer-Encoding: ${coding}`], body: chunked(body, 3, END) }),
  ),
  (body) => ({ lines: ['Transfer-Encoding : chunked'], body: chunked(body, 0, END) }),
  (body) => ({ lines: ['Transfer-Encoding: chunked', 'Transfer-Encoding: x'], body: chunked(body, 2, END) }),
  (body) => ({ lines: ['Transfer-Encoding:\r\n chunked'], body: chunked(body, 2, END) }),
  (body) => ({ lines: ['X: y\nTransfer-Encoding: chunked', ...sized(body)], body }),
  ...['+2', '-1', '0x2', '2, 2', '2 ', '02', '1e1', '', '99', '18446744073709551618'].map(
    (length): Framing =>
      (body) => ({ lines: [`Content-Length: ${length}`], body }),
  ),
  (body) => ({ lines: [...sized(body), ...sized(body)], body }),
  (body) => ({ lines: [...sized(body), 'Content-Length: 0'], body }),
  (body) => ({ lines: [`Content-Length: ${Math.max(0, body.length - 3)}`], body }),
  (body) => ({ lines: [`Content-Length: ${body.length + 5}`], body }),
  (body) => ({ lines: [], body }),
]

const framing: fc.Arbitrary<Framing> = fc.oneof(
  often(
    8,
    fc.constant<Framing>((body) => ({ lines: sized(body), body })),
  ),
  often(
    6,
    fc.tuple(fc.nat(12), from(CHUNKED_ENDS, 4)).map(
      ([cut, end]): Framing =>
        (body) => ({ lines: ['Transfer-Encoding: chunked'], body: chunked(body, cut, end) }),
    ),
  ),
  often(3, fc.constantFrom(...ODD_FRAMINGS)),
)

interface Signing {
  readonly lines: readonly string[]
  readonly subject: string | null
}

const bearer = (token: string): string => `Authorization: Bearer ${token}`

/** Ways to present a credential; what is no carrier holds nothing of worth. */
const signings = (city: City): fc.Arbitrary<Signing> => {
  const { session, apiKey, forged } = city.credentials
  const alice = tokenOf(city, 'alice')
  const by = (subject: string | null, ...lines: readonly string[]): Signing => ({ lines, subject })
  const good = [
    by('User::alice', bearer(alice)),
    by('User::carol', bearer(tokenOf(city, 'carol'))),
    by('User::alice', `authorization: bearer  ${alice}`),
    by('User::alice', `AUTHORIZATION:BEARER ${alice}`, 'Cookie: a=b; theme=dark'),
    by('User::web|visitor', `Cookie: session=${session}`),
    by('User::web|visitor', `Cookie: a=b; session=${session} ;c=d`),
    by('Partner::acme', `X-Api-Key: ${apiKey}`),
    by('Partner::acme', `x-api-key:${apiKey}`, 'Cookie: Session=other; "session"=x; sessions=y'),
    by('User::alice', bearer(alice), `Cookie: session=${session}`, `X-Api-Key: ${apiKey}`),
  ] as const
  const bad = [
    by(null),
    by('User::bob', bearer(tokenOf(city, 'bob'))),
    by(null, bearer(forged)),
    by(null, bearer(`${alice.slice(0, -9)}AAAAAAAAA`)),
    by(null, bearer(alice), bearer(alice)),
    by(null, `Authorization: Basic ${Buffer.from('alice:alice').toString('base64')}`),
    by(null, `Authorization: Bearer ${alice}, Bearer ${alice}`),
    by(null, `Cookie: session=${session}; session=x`),
    by(null, `Cookie: session=${session}`, 'Cookie: session=x'),
    by(null, `X-Api-Key: ${apiKey}`, `X-Api-Key: ${apiKey}`),
    by(null, `X_Api_Key: ${apiKey}`),
    by(null, 'X-Api-Key: '),
    by(null, 'Cookie: SESSION=x'),
  ] as const
  return fc.oneof(often(10, fc.constantFrom(...good)), often(1, fc.constantFrom(...bad)))
}

const label = (index: number): string => `case-${String(index).padStart(8, '0')}`

/** A whole request that a body could be taken for; with a credential, as an attacker has his own. */
const smuggled = (city: City, index: number): readonly string[] => {
  const head = `Host: ${HOST}\r\nX-Case: ${label(index)}\r\n${bearer(tokenOf(city, 'carol'))}\r\n\r\n`
  return [`GET /accounts/smuggled HTTP/1.1\r\n${head}`, `${END}GET /accounts/secret HTTP/1.1\r\n${head}`]
}

interface Written extends MeantRequest {
  readonly text: string
}

const request = (city: City, index: number): fc.Arbitrary<Written> =>
  fc
    .record({
      method: fc.oneof(often(4, fc.constant('GET')), often(1, from(METHODS, 3))),
      target,
      version: from(VERSIONS, 40),
      host: from(HOSTS),
      hostLast: fc.boolean(),
      signing: signings(city),
      extra: fc.array(from(LINES, 9), { maxLength: 3 }),
      framing,
      type: from(TYPES),
      json: from(JSON_BODIES, 3),
      form: from(FORM_BODIES, 3),
      smuggle: fc.oneof(often(12, fc.constant(-1)), often(1, fc.nat(1))),
      bodied: fc.oneof(often(3, fc.constant(false)), often(1, fc.constant(true))),
    })
    .map((made) => {
      const isTransfer = made.target.includes('/transfers')
      const verb = isTransfer && made.method === 'GET' ? 'POST' : made.method
      const body =
        smuggled(city, 90 + index)[made.smuggle] ?? (made.type.includes('form') ? made.form : made.json)
      const framed = isTransfer || made.bodied ? made.framing(body) : { lines: [], body: '' }
      const hostLine = `Host: ${made.host}`
      const lines = [
        ...(made.hostLast ? [] : [hostLine]),
        `X-Case: ${label(index)}`,
        ...(made.target.includes('/tenant') ? ['X-Tenant: mine'] : []),
        ...made.signing.lines,
        ...(framed.lines.length > 0 ? [`Content-Type: ${made.type}`] : []),
        ...made.extra,
        ...framed.lines,
        ...(made.hostLast ? [hostLine] : []),
      ]
      const text = `${verb} ${made.target} ${made.version}\r\n${lines.join('\r\n')}\r\n\r\n${framed.body}`
      return { label: label(index), target: made.target, subject: made.signing.subject, text }
    })

type Mutation = (text: string) => string

const mutation: fc.Arbitrary<Mutation> = fc
  .tuple(fraction, fc.nat(5), fc.nat(255), fc.constantFrom(...INSERTED))
  .map(([where, kind, byte, inserted]) => (text) => {
    const at = Math.floor(where * text.length)
    const [before, after] = [text.slice(0, at), text.slice(at)]
    const flipped = (text.charCodeAt(at) ^ (1 << (byte % 8))) & 0xff
    if (kind === 0) return before + String.fromCharCode(byte) + after.slice(1)
    if (kind === 1) return before + after.slice(1 + (byte % 4))
    if (kind === 2) return before + after.slice(0, byte) + after
    if (kind === 3) return before + String.fromCharCode(flipped) + after.slice(1)
    return before + inserted + after
  })

/** Requests on one connection, one behind the other, most of them valid but for one thing, some mutated. */
export const hostileTraffic = (city: City): fc.Arbitrary<Traffic> => {
  const { tokens, session, apiKey, forged } = city.credentials
  const shown = [...tokens, ['session', session], ['apiKey', apiKey], ['forged', forged]] as const
  const one = fc.tuple(request(city, 1))
  const several = fc.tuple(request(city, 1), request(city, 2), request(city, 3))
  return fc
    .record({
      requests: fc.oneof(often(3, one), often(1, several)),
      mutations: fc.array(mutation, { maxLength: 3 }),
      mutates: fc.oneof(often(3, fc.constant(false)), often(1, fc.constant(true))),
      cuts: fc.array(fraction, { maxLength: 4 }),
    })
    .map(({ requests, mutations, mutates, cuts }) => {
      const whole = requests.map(({ text }) => text).join('')
      const text = mutates ? mutations.reduce((mutated, mutate) => mutate(mutated), whole) : whole
      const readable = shown.reduce((short, [name, value]) => short.replaceAll(value, `<${name}>`), text)
      return {
        text,
        meant: requests.map(({ text: _text, ...meant }) => meant),
        mutated: mutates,
        cuts,
        [fc.toStringMethod]: () => JSON.stringify(readable),
      }
    })
}
