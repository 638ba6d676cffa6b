/** What an authenticator has learnt is over: whoever was authenticated so is to be refused from now on, everywhere. */
export interface Ending {
  readonly kind: 'session' | 'credential' | 'subject'
  /** The id; of a subject `Type::id`. */
  readonly target: string
  readonly reason: string
  /** Milliseconds since the epoch, from when on nothing of it can be left. */
  readonly untilMs: number
}
