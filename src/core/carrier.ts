/** Where a credential comes in. Names are in lower case, but for cookies, which keep theirs. */
export type Carrier =
  | { readonly kind: 'authorization'; readonly scheme: string }
  | { readonly kind: 'header'; readonly name: string }
  | { readonly kind: 'cookie'; readonly name: string }
  /** The gateway's own cookies of that name: `sallyport-<name>`, maybe in several parts. */
  | { readonly kind: 'session'; readonly name: string }
  | { readonly kind: 'peer-certificate' }
  | { readonly kind: 'none' }
