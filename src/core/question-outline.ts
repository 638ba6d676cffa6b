/** What a route asks, as far as it is the same for every request; null where only a request can tell. */
export interface QuestionOutline {
  readonly action: string | null
  readonly resourceType: string | null
  readonly contextKeys: readonly string[]
  /** Properties that the mapping gives the resource. */
  readonly resourceKeys: readonly string[]
}

/** A question, and who may be asking. */
export interface ReviewedQuestion extends QuestionOutline {
  /** Types of the subjects of the route; null when only a request can tell. */
  readonly subjectTypes: readonly string[] | null
}

/** What an engine says of its policies and the questions that it will be asked. */
export interface ReviewNote {
  readonly rule: string
  readonly message: string
  /** The question that it is about, or the place in a file of the engine. */
  readonly about: ReviewedQuestion | { readonly file: string; readonly line: number; readonly column: number }
}
