const OWN = /^(?:__(?:host|secure)-)?sallyport-/i

/**
 * True for the cookies that are the gateway's alone: neither an application nor its pages see or set them.
 *
 * Without regard to case, as browsers look at the prefixes.
 */
export const isOwnCookie = (name: string): boolean => OWN.test(name)
