export interface ServerSentEvent {
  readonly name: string
  readonly data: string
}

/** An event of more than this is not waited for. */
const MAX_CHARACTERS = 64 << 20

/**
 * Takes a stream of server-sent events apart; comments are left out.
 *
 * @param onChunk called whenever something arrives.
 * @throws what the stream does, and when an event has no end.
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 */
export async function* readEvents(
  body: AsyncIterable<Uint8Array>,
  onChunk: () => void,
): AsyncGenerator<ServerSentEvent> {
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of body) {
    onChunk()
    text += decoder.decode(chunk, { stream: true })
    // A carriage return at the end may be half of a line's end.
    const events = text.split(/\r\n\r\n|\n\n|\r\r(?!$)/)
    text = events.pop() ?? ''
    if (text.length > MAX_CHARACTERS) throw new Error('an event is too long')
    for (const event of events) {
      const parsed = parseEvent(event)
      if (parsed !== null) yield parsed
    }
  }
}

const parseEvent = (text: string): ServerSentEvent | null => {
  let name = 'message'
  const data: string[] = []
  for (const line of text.split(/\r\n|\n|\r/)) {
    const [, field = '', value = ''] = /^([^:]*)(?::? ?)(.*)$/s.exec(line) ?? []
    if (field === 'event') name = value
    else if (field === 'data') data.push(value)
  }
  return data.length === 0 ? null : { name, data: data.join('\n') }
}
