import type { z } from 'zod'
import type { Clock } from './clock.ts'
import type { JsonObject, JsonValue } from './json.ts'
import type { Log } from './log.ts'
import type { Finding, Problem } from './problem.ts'
import type { Refusal } from './refusals.ts'
import type { Secret } from './secret.ts'
import type { SharedUses } from './shared-uses.ts'
import type { SharedValues } from './shared-values.ts'

/**
 * The scalar types of a configuration file, bound to the file that is being read.
 *
 * A stage's schema is a function of these, so that relative paths and secrets are resolved, and their
 * mistakes reported, at their own place without the stage knowing about files.
 */
export interface Settings {
  /** A path, relative to the file that names it; becomes absolute. Does not check that it exists. */
  readonly path: () => z.ZodType<string, string>
  /** A path that may hold `*` and `**`; becomes an absolute pattern. */
  readonly glob: () => z.ZodType<string, string>
  /** `500ms`, `15s`, `5m`, `1h`; becomes milliseconds. */
  readonly duration: (limits?: {
    readonly minMs?: number
    readonly maxMs?: number
  }) => z.ZodType<number, string>
  /** `{ env: NAME }` or `{ file: path }`; becomes the value, a trailing newline removed. */
  readonly secret: () => z.ZodType<Secret, { env: string } | { file: string }>
  /** `http:` or `https:` URL without credentials, query or fragment. */
  readonly url: () => z.ZodType<string, string>
}

/** What an entry (an engine, an authenticator, a sink) may use while the configuration is loaded. */
export interface Preparation {
  readonly clock: Clock
  readonly log: Log
  /** Reads a file whose content belongs to the configuration's version, and which is watched for edits. Reports and returns null when it cannot. */
  readonly readFile: (path: string, at: Problem['path']) => Buffer | null
  /** The files that match, sorted. Reports when there are none. */
  readonly readGlob: (
    pattern: string,
    at: Problem['path'],
  ) => readonly { readonly path: string; readonly content: Buffer }[]
  /** Reads a YAML or JSON file by a schema, reporting every mistake at its place in that file. */
  readonly readYaml: <T>(
    path: string,
    schema: (settings: Settings) => z.ZodType<T>,
    at: Problem['path'],
  ) => YamlFile<T> | null
  /**
   * Compiles a template whose `$` strings are expressions over `claims`, reporting the mistakes in it.
   *
   * The result refuses with `denied` (stage `authenticate`) when a claim that it reads is missing.
   */
  readonly compileClaims: (
    template: JsonValue,
    at: Problem['path'],
  ) => (claims: JsonObject) => JsonObject | Refusal
  /**
   * Makes, or finds, what outlives edits of its entry: whoever asks for the same key gets the same one, until all of
   * them have released it. To be called when the entry is made, not while it is prepared.
   */
  readonly share: <T extends Closable>(key: string, create: () => T) => Shared<T>
  /** What all gateways remember together; left out: nothing is. */
  readonly sharedUses?: SharedUses
  /** What all gateways keep together; left out: nothing is. */
  readonly sharedValues?: SharedValues
  /**
   * To be called when all files are read and the rest takes long: aborted once nobody wants it any more, such as when
   * one of those files was edited again. Left out: it is wanted to the end.
   */
  readonly whileWanted?: () => AbortSignal
  /** Number of this process among several workers, each of which keeps files of its own; null or left out: it is the only one. */
  readonly worker?: number | null
  /** How many there are; left out: one. */
  readonly workers?: number
  /** Reports a mistake in this entry. */
  readonly report: (problem: Problem) => void
  /** Reports a mistake in another file, such as a policy. */
  readonly reportFinding: (finding: Finding) => void
}

export interface Closable {
  readonly close: () => void
}

export interface Shared<T> {
  readonly value: T
  /** To be called once, in place of the value's own `close`. */
  readonly release: () => void
}

export interface YamlFile<T> {
  readonly value: T
  /** Reports a mistake in that file. */
  readonly report: (problem: Problem) => void
}
