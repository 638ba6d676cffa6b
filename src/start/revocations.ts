import type { Configuration } from '../config/configuration.ts'
import type { Clock } from '../core/clock.ts'
import type { Log } from '../core/log.ts'
import type { OnPublished, RevocationFeed } from '../gateway/decide/revocations/feed.ts'
import { createLocalFeed } from '../gateway/decide/revocations/local-feed.ts'
import type { Mark } from '../gateway/decide/revocations/mark.ts'
import { type MarkFile, openMarkFile } from '../gateway/decide/revocations/mark-file.ts'
import type { MarkPeers } from '../gateway/decide/revocations/mark-peers.ts'
import { createSwitchFeed } from '../gateway/decide/revocations/switch-feed.ts'

/** What the estate has of revocations: one feed all the life of the process, whatever is behind it. */
export interface Revocations {
  readonly feed: RevocationFeed
  /** Opens what a configuration says, beside what is there. */
  readonly prepare: (
    configuration: Pick<Configuration, 'revocation'>,
  ) => PreparedFeed | { readonly failed: string }
  /** Who is told of what was published here. */
  readonly recordBy: (record: OnPublished) => void
  readonly close: () => void
}

/** One of the two is to be called, once. */
export interface PreparedFeed {
  /** Puts it in the place of what is there, whose marks stay in force. */
  readonly commit: () => void
  readonly discard: () => void
}

const UNCHANGED: PreparedFeed = { commit: () => undefined, discard: () => undefined }

export const createRevocations = ({
  clock,
  log,
  peers,
}: {
  readonly clock: Clock
  readonly log: Log
  /** Other workers; then the file is not this process's to write. */
  readonly peers?: MarkPeers
}): Revocations => {
  let record: OnPublished = () => undefined
  let running = ''
  let path: string | undefined
  let file: MarkFile | null = null
  const onPublished: OnPublished = (what, mark, by) => record(what, mark, by)
  const plain = { clock, log, onPublished, ...(peers === undefined ? {} : { peers }) }
  const fileOf = (wanted: string | undefined) => (peers === undefined ? openOrNone(wanted, clock) : null)
  let before: readonly Mark[] = peers?.known ?? []
  const feed = createSwitchFeed(
    createLocalFeed({ clock, log, onPublished, markLifeMs: 0, maxMarks: 0, file: null, marks: [] }),
    log,
  )

  return {
    feed,
    prepare: ({ revocation }) => {
      const wanted = JSON.stringify(revocation)
      if (wanted === running) return UNCHANGED
      const opened = revocation.file === path ? file : fileOf(revocation.file)
      if (opened !== null && 'failed' in opened) return opened
      return {
        commit: () => {
          const marks = [...feed.list(), ...before]
          before = []
          const inFile = opened === file ? [] : (opened?.marks ?? [])
          if (opened !== file) for (const mark of marks) opened?.add(mark)
          const { markLife, maxMarks } = revocation
          feed.switchTo(
            createLocalFeed({
              ...plain,
              markLifeMs: markLife,
              maxMarks,
              file: opened,
              marks: [...marks, ...inFile],
            }),
          )
          if (opened !== file) file?.close()
          running = wanted
          path = revocation.file
          file = opened
        },
        discard: () => {
          if (opened !== file) opened?.close()
        },
      }
    },
    recordBy: (next) => {
      record = next
    },
    close: () => {
      void feed.close()
      file?.close()
      file = null
    },
  }
}

const openOrNone = (path: string | undefined, clock: Clock) =>
  path === undefined ? null : openMarkFile(path, clock.nowMs())
