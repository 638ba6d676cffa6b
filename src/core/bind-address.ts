/** An address to listen on, without the brackets of IPv6. */
export interface BindAddress {
  readonly host: string
  readonly port: number
}

/** Takes `host:port` apart. Does not check: that it is one, or that the port is below 65536. */
export const splitBind = (bind: string): BindAddress => {
  const colon = bind.lastIndexOf(':')
  return { host: bind.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(bind.slice(colon + 1)) }
}

/** `host:port`, with the brackets of IPv6. */
export const joinBind = ({ host, port }: BindAddress): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
