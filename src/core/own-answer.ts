/**
 * What Sallyport answers itself where an authenticator has an endpoint of its own, such as the way back from a sign-in.
 *
 * `setCookies` are whole values of `Set-Cookie`.
 */
export type OwnAnswer =
  | { readonly kind: 'redirect'; readonly location: string; readonly setCookies: readonly string[] }
  /** A page that says one thing, in plain text. */
  | {
      readonly kind: 'page'
      readonly title: string
      readonly text: string
      readonly setCookies: readonly string[]
    }
  /** A document that everybody may keep for some minutes. */
  | { readonly kind: 'document'; readonly json: string }
  | { readonly kind: 'done' }
  /** Taken, and done; there is nothing more to say. */
  | { readonly kind: 'accepted' }
