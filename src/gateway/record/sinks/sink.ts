import type { ChainEnd } from '../chain.ts'
import type { DecisionRecord } from '../decision-record.ts'

/** A record that a sink could not take; `failed` is for operators and holds nothing of the record. */
export interface SinkFailure {
  readonly failed: string
}

/** Records that are written together. */
export interface Batch {
  /**
   * Keeps one record, together with others: at `commit`, with the next `write`, and in any case at the end of this
   * turn of the event loop.
   *
   * @param whenWritten called once with what `write` would have returned, maybe before this returns.
   */
  readonly hold: (line: string, record: DecisionRecord, whenWritten: WhenWritten) => void
  /** Writes what is held, if anything is: the calls back have been made when this returns. */
  readonly commit: () => void
}

export type WhenWritten = (result: true | SinkFailure) => void

/** What one kind of sink does by itself. */
export interface BareSink {
  /** The entry in the configuration, for messages. */
  readonly name: string
  /**
   * Keeps one record; it has left the process when this returns true.
   *
   * @param line the record as JSON on one line, without the newline. A sink may only add fields at its end.
   */
  readonly write: (line: string, record: DecisionRecord) => true | SinkFailure
  /** Takes records that need not be written at once; only for sinks to which several cost little more than one. */
  readonly batch?: Batch
  /**
   * Lets go of what the sink has, at once: another one may be opened in the same place right after. What was kept
   * and not sent on stays for the next one. Nothing is written afterwards.
   */
  readonly close: () => void
  /** Sends on what is only kept here so far; resolves when that is done, fails, or the signal is aborted. */
  readonly flush?: (signal: AbortSignal) => Promise<void>
  /** The file of lines that is written now, to be read back; only for sinks that write one. */
  readonly file?: string
  /** That of each of several workers, also of those that have not begun theirs; left out: there is but one. */
  readonly filesOfWorkers?: readonly string[]
  /** The ends of the chains that this sink writes; only for sinks that chain. */
  readonly heads?: () => readonly ChainEnd[]
  /** What became of records after they were kept; only for sinks that send them on. */
  readonly delivery?: () => Delivery
}

/** A place where records are kept. */
export interface Sink extends BareSink {
  /** True: a request whose record this sink did not take is refused. */
  readonly required: boolean
  /** What this sink is shown of a record; left out: all of it. */
  readonly redact?: (record: DecisionRecord) => DecisionRecord
  /** Counts since the sink was opened. */
  readonly stats?: () => SinkStats
}

/** Records that are sent on. */
export interface Delivery {
  /** Records that the other side has acknowledged. */
  readonly delivered: number
  /** Records that it will never take, and that were set aside on this disk. */
  readonly refused: number
  /** Records that it has not, and their bytes on this disk. */
  readonly spoolRecords: number
  readonly spoolBytes: number
  readonly lastError: SinkError | null
}

export interface SinkStats extends Partial<Omit<Delivery, 'lastError'>> {
  /** Records that were kept. */
  readonly written: number
  /** Records that could not be kept, whose requests were refused for it. */
  readonly failed: number
  /** Records that could not be kept and are lost, since the sink is not required. */
  readonly dropped: number
  /** The last thing that went wrong, also when all is well again. */
  readonly lastError: SinkError | null
}

export interface SinkError {
  /** RFC 3339. */
  readonly time: string
  /** Holds nothing of a record. */
  readonly message: string
}

/** A sink that cannot be opened: a mistake of the operator or of the machine, found before anything is served. */
export class SinkStartError extends Error {
  readonly code: string = 'ERR_AUDIT_SINK'
}

/** Another writer has what the sink wants for itself. */
export class SinkInUseError extends SinkStartError {
  override readonly code = 'ERR_AUDIT_SINK_IN_USE'
}
