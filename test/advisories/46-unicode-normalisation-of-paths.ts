// IIS CVE-2000-0884 (overlong UTF-8), and servers that normalise or fold Unicode (HostSplit, Birch 2019; Spring, .NET
// `%u`; GitHub's dotless-i reset): `%c0%af`, `%ef%bc%8f` (fullwidth solidus) or a dotless i become `/`, `.` or `i`
// only behind the gateway. Sallyport refuses what is not UTF-8, folds nothing on its own, and gives the policy the
// very characters that the application gets, so that no two of them are one.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assertForwarded, assertRefused, resourceOf, useTown } from './world.ts'

const town = useTown({
  routes: `
  - { name: folded, match: "GET /Kiosk/{id}", ignoreCase: true, evaluation: { action: administer, resource: { type: Panel, id: $path.id } } }
`,
})

const MALFORMED = [
  '%c0%af',
  '%c0%ae',
  '%e0%80%af',
  '%f0%80%80%af',
  '%c1%9c',
  '%ed%a0%80',
  '%ed%a0%bd%ed%b8%80',
  '%f4%90%80%80',
  '%ff',
  '%fe',
  '%80',
  '%c3',
  '%c3%28',
  '%e2%82',
  '%u002f',
  '%uff0f',
  '\xef\xbc\x8f',
  '\xc3\xa9',
]
for (const octets of MALFORMED) {
  test(`${JSON.stringify(octets)} is refused`, async () => {
    for (const target of [
      `/public/${octets}`,
      `/accounts/${octets}`,
      `/admin${octets}x`,
      `/${octets}admin/x`,
    ]) {
      assertRefused(await town.ask({ target, as: null }), 400, 'bad_request')
    }
  })
}

const LOOKALIKES: Readonly<Record<string, string>> = {
  'fullwidth solidus': '\uff0f',
  'fullwidth full stop': '\uff0e\uff0e',
  'two dot leader': '\u2025',
  'one dot leader': '\u2024\u2024',
  'division slash': '\u2215',
  'ideographic full stop': '\u3002',
  'combining acute': 'e\u0301',
  'precomposed e acute': '\u00e9',
  'long s': '\u017fecret',
  'zero width joiner': 'sec\u200dret',
  'byte order mark': '\ufeffsecret',
  'right-to-left override': '\u202esecret',
  ligature: '\ufb01le',
}
for (const [what, text] of Object.entries(LOOKALIKES)) {
  test(`a ${what} is itself to the policy, and the same octets to the application`, async () => {
    const encoded = encodeURIComponent(`${text}x`)
    const seen = await town.ask({ target: `/accounts/${encoded.toLowerCase().replaceAll('%20', '%20')}` })
    if (seen.status === 403) {
      assertRefused(seen, 403, 'denied')
      assert.deepEqual(seen.record.reasons, ['no-secrets'])
    } else assertForwarded(seen, `/accounts/${encoded}`)
    assert.equal(resourceOf(seen), `${text}x`)
  })
}

test('no lookalike is the literal of a route', async () => {
  for (const target of [
    '/%EF%BD%81dmin/x',
    '/adm%C4%B1n/x',
    '/ADMIN/x',
    '/Admin/x',
    '/publ%C4%B0c/x',
    '/HEALTH',
  ]) {
    assertRefused(await town.ask({ target, as: null }), 404, 'no_route')
  }
})

test('ignoreCase folds the letters of ASCII', async () => {
  for (const target of ['/kiosk/7', '/KIOSK/7', '/KiOsK/7', '/%4b%49%4F%53%6b/7']) {
    assertRefused(await town.ask({ target }), 403, 'denied')
    assert.equal((await town.ask({ target, as: 'carol' })).status, 200)
  }
})

// U+212A, U+017F and U+0131 become K, S and I for servers that fold all of Unicode, by one case or the other.
for (const target of ['/%E2%84%AAiosk/7', '/kio%C5%BFk/7', '/k%C4%B1osk/7', '/K%C4%B0OSK/7']) {
  test(`${target} is not let in as something else than /kiosk/7`, async () => {
    const seen = await town.ask({ target })
    assert.ok(seen.status === 404 || seen.status === 403 || seen.status === 400, `${seen.status}`)
    assert.deepEqual(seen.forwarded, [])
  })
}
