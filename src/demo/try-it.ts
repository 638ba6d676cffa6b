/** Lines to type at a shell while the demo stays up. */
export const tryItLines = (demo: {
  readonly gatewayUrl: string
  readonly mintUrl: string
  readonly partnerKey: string
  readonly decisionsFile: string
  readonly adminUrl: string
  readonly adminTokenFile: string
}): string => {
  const { gatewayUrl, mintUrl } = demo
  const as = (name: string): string => `-H "Authorization: Bearer $(curl -s '${mintUrl}/token/${name}')"`
  const order = `-H 'Content-Type: application/json' -d '{"to":"2001","amountCents":500000}'`
  const upgrade = `-H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: c2FsbHlwb3J0LWRlbW8tMQ=='`
  return `
Open ${gatewayUrl}/ in a browser, and sign in as alice or bob: each sees what is theirs.

Alice, Bob, Carol (a clerk) and Dave (an auditor) can have tokens, too. Try:

  curl -i ${gatewayUrl}/health
  curl -i ${as('alice')} ${gatewayUrl}/accounts/1001
  curl -i ${as('bob')} ${gatewayUrl}/accounts/1001
  curl -i ${as('dave')} -o statement.csv ${gatewayUrl}/accounts/1001/statements/2026-10
  curl -i ${as('alice')} ${order} ${gatewayUrl}/accounts/1002/transfers
  curl -i ${as('alice?mfa')} ${order} ${gatewayUrl}/accounts/1002/transfers
  curl -iN -H 'X-Api-Key: ${demo.partnerKey}' ${gatewayUrl}/ticker
  curl -iN ${as('alice')} ${upgrade} ${gatewayUrl}/desk
  curl -i --path-as-is ${as('alice')} ${gatewayUrl}/accounts/1001/../2001

The ticker and the desk run until what they live on is taken back:

  export SALLYPORT_ADMIN_TOKEN="$(cat ${demo.adminTokenFile})"
  ./bin/sallyport revoke --admin ${demo.adminUrl} --subject Partner::acme
  ./bin/sallyport revoke --admin ${demo.adminUrl} --subject User::alice

Every decision is in ${demo.decisionsFile}
`
}
