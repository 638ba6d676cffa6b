import { HOST } from './city.ts'

/*
 * What the requests of hostile-traffic.ts are made of: texts in Latin-1, one character a byte. Calm ones are
 * what honest callers send; wild ones are what at least one parser somewhere reads in another way.
 */

export interface Words {
  readonly calm: readonly string[]
  readonly wild: readonly string[]
}

export const SEGMENTS: Words = {
  calm: [
    ...['7', '42', 'a', 'report.txt', '~x', 'A-b_c', 'x%20y', '%41lice', '%7e', 'caf%C3%A9', '100%25', 'a:b'],
    ...['a+b', "it's", '(x)', 'a,b', 'a=b&c', '!$*', '@', 'a%2Bb', 'a%40b', '%5B1%5D', '...', '.hidden'],
    ...['a%3d'],
    ...['secret', 'top-secret-1', '%73ecret'],
  ],
  wild: [
    ...['.', '..', '%2e', '%2E%2e', '.%2e', '..;', '..%2f', '%2e%2e%2fsecret', '', 'a%2Fb', 'a%2fb', '%2F'],
    ...['./a'],
    ...['a;b', 'a;secret', ';', 'a%3Bb', '%3b', '..;x', 'a%00', '%00secret', 'a%0d%0aX-Remote-User:%20root'],
    ...['a/.'],
    ...['a\\b', 'a%5cb', '..%5c', '%252e%252e', '%25%32%65', '%2', '%', '%zz', '%u002e', '%c0%ae', '%c0%af'],
    ...['{id}'],
    ...['%C3%28', 'caf\xe9', '\x80', 'a%7f', 'a\x7f', 'a%C2%85', 'a b', 'a\tb', 'a#b', '%23', 'a%3Fb'],
    ...['a?b=1'],
    ...['s%65cret', 'SECRET', 'secre%74', 'x/../secret', '%EF%BC%8E%EF%BC%8E', '%e2%80%ae', 'a%20', '%2500'],
    ...['*'],
  ],
}

export const QUERY_KEYS: Words = {
  calm: ['q', 'q', 'q', 'x', 'page'],
  wild: ['Q', '%71', '%51', 'q[]', '', 'q%00', 'q+', '%zz', 'q;q', 'q%3Dsecret&q'],
}

export const QUERY_VALUES: Words = {
  calm: ['=a', '=b', '=a+b', '=%C3%A9', '=a%26q%3Db', '=secret', '=%73ecret', '=%0a', '='],
  wild: ['', '=%', '=a%00', '=a;q=b', ';b', '==', '%3da', '=%ff', '=a#b', '=a b', '=\xe9', '=a?b'],
}

export const PATHS: Words = {
  calm: ['/health', '/tenant', '/tenant', '/search?q=found'],
  wild: [
    ...['/HEALTH', '/health/..', '/health;x', '/health%2f..%2faccounts/7', '/', '//accounts/7', '/accounts'],
    ...['/accounts/'],
    ...['/%61ccounts/7', '/.well-known/sallyport/x', '/health/../accounts/secret', '/files', '/files/'],
    ...['/blobs/'],
  ],
}

export const BEFORE_PATHS: Words = {
  calm: ['', '', '', '', '', '', '', '', '', `http://${HOST}`],
  wild: [
    ...[`HTTP://${HOST.toUpperCase()}:80`, 'http://other.test', 'http:', '//', `//${HOST}`, 'x', '\\', '/.'],
    ...['*', '%2f'],
    ...['https://user:pw@city.test', 'http://city.test@other.test', 'http://city.test\\', 'ftp://city.test'],
  ],
}

export const AFTER_PATHS: Words = {
  calm: ['', '', '', '', '', '', '/'],
  wild: ['//', '/.', '%2f', '/..', '#x', '%20', '?', '?#'],
}

export const METHODS: Words = {
  calm: ['HEAD', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'POST'],
  wild: ['TRACE', 'CONNECT', 'get', 'GeT', 'GETX', 'PRI', 'M-SEARCH', 'QUERY', 'G\x80T', '', 'GET '],
}

export const VERSIONS: Words = {
  calm: ['HTTP/1.1'],
  wild: ['HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', '', 'http/1.1', 'HTTP/1.1 '],
}

export const HOSTS: Words = {
  calm: [
    ...[HOST, HOST, HOST, HOST, HOST, HOST, HOST, HOST, 'CITY.Test', `${HOST}.`, `${HOST}:80`],
    ...[`${HOST}:8080`],
    ...['www.pages.test', 'WWW.pages.test:81'],
  ],
  wild: [
    ...['other.test', 'pages.test', `${HOST}..`, `${HOST}:`, `${HOST}:99999`, `${HOST}:080`],
    ...[`${HOST},other.test`],
    ...[`${HOST} other`, `a@${HOST}`, `${HOST}/x`, `${HOST}?x`, `${HOST}#x`, '', '[::1]', '[::1%25x]'],
    ...[`${HOST}\\x`],
    ...['city%2etest', 'city_test', '.pages.test', 'a..pages.test', `${HOST};proto=https`, `"${HOST}"`],
    ...['127.0.0.1'],
  ],
}

const SPOOFED_NAMES = [
  ...['X-Remote-User', 'x-remote-user', 'X-REMOTE-USER', 'Sallyport-Decision-Id', 'Sallyport-Assertion'],
  ...['Sallyport-Task'],
  ...['Sallyport-Anything', 'X-Forwarded-For', 'X-Forwarded-Proto', 'Forwarded', 'X-Forwarded-Host'],
  ...['X-Forwarded-Prefix'],
  ...['X-Forwarded-User', 'X-Forwarded-Port', 'Via', 'X-Real-IP', 'True-Client-IP', 'X-Original-URL'],
  ...['X-Rewrite-URL'],
  ...['X-HTTP-Method-Override', 'Proxy', 'X-HTTP-Method', 'X-Method-Override', 'Keep-Alive'],
  ...['Proxy-Connection', 'TE'],
  ...['Proxy-Authorization', 'HTTP2-Settings', 'Trailer'],
]

const ALIASES = [
  ...['X_Remote_User', 'X.Remote.User', 'X-Remote_User', 'X!Remote~User', 'Sallyport_Decision_Id'],
  ...['sallyport.assertion'],
  ...['X_Forwarded_For', 'X.Forwarded.Host', 'X_Real_IP', 'X_HTTP_Method_Override', 'Content_Length'],
  ...['Transfer_Encoding'],
  ...['Content.Type', 'X_Tenant', 'X.Tenant', 'X_Case', 'HTTP_X_REMOTE_USER', 'X_Api_Key', 'Authorization_'],
  ...['Cookie_'],
]

const VALUES = [
  'root',
  'admin',
  'secret',
  '10.0.0.1',
  'for=10.0.0.1',
  'https',
  '/accounts/secret',
  '0',
  'trailers',
]

const lines = (names: readonly string[]): readonly string[] =>
  names.flatMap((name, index) => [index, index + 4].map((at) => `${name}: ${VALUES[at % VALUES.length]}`))

const CONNECTION = [
  ...['keep-alive', 'close', 'X-Remote-User', 'x-tenant', 'X-Forwarded-For, close', 'Sallyport-Decision-Id'],
  ...['host'],
  ...['sallyport-assertion', 'authorization', 'content-length', 'transfer-encoding', 'Upgrade', 'cookie'],
  ...['te', 'X-Case'],
  ...['keep-alive, x_remote_user', 'X-Note', ',,', 'x-note, x-note', '"x-tenant"', 'content-type'],
  ...['x-forwarded-host'],
]

export const LINES: Words = {
  calm: [
    ...lines(SPOOFED_NAMES),
    ...CONNECTION.map((value) => `Connection: ${value}`),
    ...['X-Note: a note', 'X-Note: \xe9', 'X-Note:\t tabs \t', 'Accept: text/html', 'User-Agent: probe'],
    ...['X-Note: '],
    ...['Accept-Encoding: gzip', 'Range: bytes=0-1', 'If-None-Match: "a"', 'Max-Forwards: 0', 'Origin: null'],
    ...['Expect: 100-continue', 'Upgrade: h2c', 'Upgrade: websocket', 'Cookie: theme=dark; lang=de'],
  ],
  wild: [
    ...lines(ALIASES),
    ...['X-Tenant: mine', 'x-tenant: secret', 'X-Tenant: caf\xc3\xa9', 'X-Tenant: \xff', 'X-Tenant:'],
    ...['Host: other.test'],
    ...['X-Tenant : mine', 'X-Note: a\x01b', 'X-Note', ': empty', 'X Note: b', 'X-Note: folded\r\n line'],
    ...[' X-Note: first'],
    ...['X-Note: a\nX-Remote-User: root', 'X-Note: a\rX-Remote-User: root', '\xe9: x', 'Expect: something'],
    ...['Cookie: a'],
    ...['Content-Encoding: gzip', 'X-Remote-User\t: root', 'X-Remote-User\x00: root'],
    ...['"X-Remote-User": root'],
  ],
}

export const JSON_BODIES: Words = {
  calm: [
    ...['{"to":"8"}', '{"to":"8","amount":5}', ' {"to" : "9" } ', '{"t\\u006f":"8"}'],
    ...['{"to":"caf\xc3\xa9"}', '{"to":"secret"}'],
  ],
  wild: [
    ...['{"to":"8","to":"secret"}', '{"to":"secret","to":"8"}', '{"to":"8","TO":"secret"}'],
    ...['{"to":"8","\\u0074o":"secret"}'],
    ...['{"to":"\\u0073ecret"}', '{"to":["8"]}', '{"to":8}', '{"to":""}', '{"to":null}', '{}', 'null', ''],
    ...["{'to':'8'}"],
    ...['["to"]', '\xef\xbb\xbf{"to":"8"}', '{"to":"8"}{"to":"secret"}', '{"to":"8"', '{"to":"8",}'],
    ...['{"to":"8"}\0'],
    ...['{"to":"8\\u0000"}', '{"to":"\\ud800"}', '{"to":"\xff"}', '{"__proto__":{"to":"secret"},"to":"8"}'],
    ...['{"to":"8","n":9007199254740993}', '{"to":"8","x":[[[[[[]]]]]]}', '{"to":"8"/*"to":"secret"*/}'],
    ...['NaN'],
  ],
}

export const FORM_BODIES: Words = {
  calm: ['to=8', 'to=caf%C3%A9', 'to=8&amount=5', 't%6f=8', 'to=%73ecret', 'to=a+b', '&to=8&'],
  wild: [
    ...['to=8&to=secret', 'to[]=secret&to=8', 'To=secret&to=8', 'to=8;to=secret', 'to=', 'to'],
    ...['to=8&t%6F=secret'],
    ...['to=%', 'to=%00', 'to=\xff', 'to=8&%', 'to=8&to%00=secret', 'to=8%26to=secret', 'to=8\r\nto=secret'],
  ],
}

export const TYPES: Words = {
  calm: [
    ...['application/json', 'application/json', 'application/json; charset=utf-8'],
    ...['application/x-www-form-urlencoded'],
  ],
  wild: [
    ...['application/json; charset=utf-16', 'text/plain', 'application/vnd.api+json', 'APPLICATION/JSON'],
    ...['application/json;'],
    ...['multipart/form-data; boundary=x', 'application/json, text/plain', ''],
    ...['application/json\r\nContent-Type: text/plain'],
  ],
}

export const CHUNKED_ENDS: Words = {
  calm: [
    ...['0\r\n\r\n', '0\r\n\r\n', '000\r\n\r\n', '0\r\nX-Note: t\r\n\r\n'],
    ...['0\r\nX-Remote-User: root\r\n\r\n'],
  ],
  wild: [
    ...['0;ext=1\r\n\r\n', '0\r\nX-Note: t\r\nX_Remote_User: root\r\n\r\n'],
    ...['0\r\nContent-Length: 5\r\n\r\n', '0\n\n', '0\r\n'],
    ...['-1\r\n\r\n', 'g\r\n\r\n', '0\r\n\r\nGET', '0x0\r\n\r\n', '1\r\n', '0 \r\n\r\n', '0\r\n X\r\n\r\n'],
    ...['ffffffffffffffff\r\n\r\n'],
    ...['0;a\nb\r\n\r\n', '0\r\n\rGET / HTTP/1.1\r\n', '2\r\nab0\r\n\r\n'],
    ...['0\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ],
}

export const INSERTED: readonly string[] = [
  ...['\r\n', '\n', '\r', '\0', ' ', '\t', ':', ',', ';', '/', '//', '%', '%2e', '%2F', '..', '\\', '#'],
  ...['?', '&q=secret'],
  ...['\r\n\r\n', 'Transfer-Encoding: chunked\r\n', 'Content-Length: 0\r\n', 'X_Remote_User: root\r\n'],
  ...['Host: x\r\n'],
  ...['X-Remote-User: root\r\n', '\r\n ', '_', '.', '-', '"', '\x7f', '\x80', '\xff', '0\r\n\r\n', 'secret'],
  ...['HTTP/1.1', '\x0b'],
]
