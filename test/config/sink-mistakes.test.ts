import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ENV, GATEWAY, loadWorld, SOUND } from './world.ts'

const FILE_SINK = '{ type: file, path: log/decisions.ndjson }'

/** What stands in place of the sound sink, and the one line that is said about it. */
const MISTAKES: Readonly<Record<string, readonly [sink: string, says: RegExp]>> = {
  'plain http to another machine': [
    '{ type: http, url: "http://logs.example.com/in", spool: spool }',
    /:13:24: error: .*plain http to another machine.*insecure/,
  ],
  'an address with a query': [
    '{ type: http, url: "https://logs.example.com/in?key=s3cr3t", spool: spool }',
    /:13:24: error: .*without user, query and fragment/,
  ],
  'a collector without a spool': [
    '{ type: http, url: "https://logs.example.com/in" }',
    /:13:5: error: .*spool/,
  ],
  'a token that is text': [
    '{ type: http, url: "https://logs.example.com/in", spool: spool, token: s3cr3t }',
    /:13:76: error: .*never text in the file/,
  ],
  'a token header that frames the body': [
    '{ type: http, url: "https://logs.example.com/in", spool: spool, tokenHeader: Content-Length }',
    /:13:82: error: .*not for a token/,
  ],
  'authorities that are none': [
    '{ type: http, url: "https://logs.example.com/in", spool: spool, tls: { caFile: keys.yaml } }',
    /:13:84: error: .*certificates as PEM/,
  ],
  'a certificate without its key': [
    '{ type: http, url: "https://logs.example.com/in", spool: spool, tls: { certFile: keys.yaml } }',
    /:13:74: error: .*belong together/,
  ],
  'a certificate that is none': [
    '{ type: http, url: "https://logs.example.com/in", spool: spool, tls: { certFile: keys.yaml, keyFile: keys.yaml } }',
    /:13:86: error: .*certificate as PEM/,
  ],
  'tls where there is none': [
    '{ type: http, url: "http://127.0.0.1:9/in", spool: spool, tls: { serverName: a } }',
    /:13:63: error: .*tls with a url that is not https/,
  ],
  'a spool that holds nothing': [
    '{ type: http, url: "https://logs.example.com/in", spool: spool, spoolBytes: 10 }',
    /:13:81: error: .*4096/,
  ],
  'a field of another kind of sink': ['{ type: stdout, path: log }', /:13:21: error: .*path/],
}

for (const [name, [sink, says]] of Object.entries(MISTAKES)) {
  test(`${name} is one line with its place`, async () => {
    const text = String(SOUND[GATEWAY])
    assert.equal(text.split(FILE_SINK).length, 2)
    const { lines, configuration } = await loadWorld(
      { ...SOUND, [GATEWAY]: text.replace(FILE_SINK, sink) },
      ENV,
    )
    assert.equal(configuration, null)
    assert.equal(lines.length, 1, lines.join('\n'))
    assert.match(lines[0] ?? '', says)
    assert.doesNotMatch(lines[0] ?? '', /s3cr3t/)
  })
}

test('sinks of every kind load together', async () => {
  const sinks = [
    FILE_SINK,
    '{ type: stdout, filter: { decisions: [deny] } }',
    '{ type: http, url: "http://127.0.0.1:9/in", spool: spool, token: { env: BACKEND }, required: false }',
    '{ type: http, url: "http://logs.example.com/in", spool: other, insecure: true }',
  ]
  const text = String(SOUND[GATEWAY]).replace(FILE_SINK, sinks.join('\n  - '))
  const { lines, configuration } = await loadWorld({ ...SOUND, [GATEWAY]: text }, ENV)
  assert.deepEqual(lines, [])
  assert.equal(configuration?.sinks.length, 4)
})
