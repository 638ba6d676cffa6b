import type { Clock } from '../../core/clock.ts'
import type { Bound } from '../../core/decision.ts'
import { headerValues } from '../../core/headers.ts'
import type { Identity } from '../../core/identity.ts'
import { isRefusal, type Refusal, type RefusalCode, refuse } from '../../core/refusals.ts'
import type { Accepted, CanonicalRequest } from '../../core/request.ts'
import type { Route } from '../../core/route.ts'
import type { SharedTasks, TaskOwner } from '../../core/shared-tasks.ts'
import { sharedWaitOf } from '../../core/shared-wait.ts'
import type { Stages } from '../pipeline.ts'

/** How a request says which task it is part of. */
export const TASK_HEADER = 'sallyport-task'

/** A name that is safe in a path, a log line and a policy. */
const TASK_ID = /^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/

export const isTaskId = (text: string): boolean => TASK_ID.test(text)

/** Pieces of work that requests belong to, each of one subject, until it is completed or over. */
export interface Tasks {
  /** Finds out whose the task of a request is when it is not known here; null: nothing hinders. To be called before `attach`. */
  readonly claim: (
    request: CanonicalRequest,
    route: Route,
    identity: Identity,
    caller: () => AbortSignal,
  ) => Refusal | null | Promise<Refusal | null>
  /** Puts the task of a request into its questions, or says why it cannot be part of it. */
  readonly attach: (accepted: Accepted, identity: Identity | null, bound: Bound) => Bound | Refusal
  /** It cannot be used again. */
  readonly completed: (id: string) => void
  /** What is attached meanwhile begins no task. @param step synchronous. */
  readonly peeking: <T>(step: () => T) => T
}

interface Task {
  readonly subject: string
  readonly beganMs: number
  /** When the last route that it was used on lets it end. */
  endsMs: number
  completed: boolean
}

const DEFAULT_MAX_LIFE_MS = 60 * 60 * 1000
/** So long a task that was completed or is over is remembered, so that it cannot begin again. */
const REMEMBERED_MS = 24 * 60 * 60 * 1000
const MOST_PER_SUBJECT = 100
const MOST_REMEMBERED = 100_000

/**
 * Known to this process; a completed task is told to others by a mark, and whose it is by what is shared, if anything is.
 */
export const createTasks = (clock: Pick<Clock, 'nowMs'>, shared?: SharedTasks): Tasks => {
  const tasks = new Map<string, Task>()
  const bySubject = new Map<string, Set<string>>()
  let isPeeking = false

  const forgetOld = (nowMs: number): void => {
    for (const [id, task] of tasks) {
      const isOld = nowMs >= task.endsMs + REMEMBERED_MS
      if (!isOld && tasks.size < MOST_REMEMBERED) return
      drop(id, task)
    }
  }

  const drop = (id: string, { subject }: Task): void => {
    tasks.delete(id)
    leave(id, subject)
  }

  const leave = (id: string, subject: string): void => {
    const own = bySubject.get(subject)
    own?.delete(id)
    if (own?.size === 0) bySubject.delete(subject)
  }

  const isOver = ({ completed, endsMs }: Task, nowMs: number): boolean => completed || nowMs >= endsMs

  /** How many of a subject's tasks are under way. */
  const countOf = (subject: string, nowMs: number): number => {
    for (const id of bySubject.get(subject) ?? []) {
      const task = tasks.get(id)
      if (task === undefined || isOver(task, nowMs)) leave(id, subject)
    }
    return bySubject.get(subject)?.size ?? 0
  }

  const begin = (id: string, subject: string, nowMs: number, lifeMs: number): Task | null => {
    if (countOf(subject, nowMs) >= MOST_PER_SUBJECT) return null
    const task: Task = { subject, beganMs: nowMs, endsMs: nowMs + lifeMs, completed: false }
    if (!isPeeking) enter(id, task, nowMs)
    return task
  }

  const enter = (id: string, task: Task, nowMs: number): void => {
    forgetOld(nowMs)
    tasks.set(id, task)
    const own = bySubject.get(task.subject) ?? new Set()
    bySubject.set(task.subject, own.add(id))
  }

  const claimed = async (
    id: string,
    asked: Promise<TaskOwner | 'unavailable'>,
    lifeMs: number,
  ): Promise<Refusal | null> => {
    const owner = await asked
    // Another request, or a mark, may have come first.
    if (tasks.has(id)) return null
    if (owner === 'unavailable') {
      return no('revocation_unavailable', `whose the task ${id} is cannot be told at present`)
    }
    const { subject, beganMs } = owner
    // As many as were asked about at once may have been begun meanwhile.
    if (countOf(subject, clock.nowMs()) >= MOST_PER_SUBJECT) return tooMany()
    enter(id, { subject, beganMs, endsMs: beganMs + lifeMs, completed: false }, clock.nowMs())
    return null
  }

  return {
    claim: (request, route, identity, caller) => {
      if (shared === undefined || !request.names.includes(TASK_HEADER)) return null
      const [id = '', ...more] = headerValues(request.headers, TASK_HEADER)
      if (more.length > 0 || !TASK_ID.test(id) || tasks.has(id)) return null
      const nowMs = clock.nowMs()
      const subject = subjectOf(identity)
      // At once: when it is attached there may be room for it, and nobody has been asked whose it is.
      if (countOf(subject, nowMs) >= MOST_PER_SUBJECT) return tooMany()
      const lifeMs = route.task?.maxLifeMs ?? DEFAULT_MAX_LIFE_MS
      const asked = shared.claim(
        id,
        { subject, beganMs: nowMs },
        lifeMs + REMEMBERED_MS,
        sharedWaitOf(caller),
      )
      return asked === null ? null : claimed(id, asked, lifeMs)
    },
    attach: (accepted, identity, bound) => {
      const { task: rules } = accepted.route
      const isNamed = accepted.request.names.includes(TASK_HEADER)
      if (identity === null || (!isNamed && rules?.required !== true)) return bound
      if (!isNamed) return no('bad_request', 'the route wants a task', 'Sallyport-Task is missing.')
      const [id = '', ...more] = headerValues(accepted.request.headers, TASK_HEADER)
      if (more.length > 0 || !TASK_ID.test(id)) {
        return no('bad_request', 'not the id of a task', 'Sallyport-Task does not name one task.')
      }
      const nowMs = clock.nowMs()
      const subject = subjectOf(identity)
      const lifeMs = rules?.maxLifeMs ?? DEFAULT_MAX_LIFE_MS
      const task = tasks.get(id) ?? begin(id, subject, nowMs, lifeMs)
      if (task === null) return tooMany()
      if (task.completed) return no('denied', `the task ${id} is completed`, 'The task is completed.')
      if (task.subject !== subject) return no('denied', `the task ${id} is another subject's`)
      const deadlineMs = task.beganMs + lifeMs
      if (nowMs >= deadlineMs) return no('denied', `the task ${id} has lasted too long`, 'The task is over.')
      task.endsMs = Math.max(task.endsMs, deadlineMs)
      const accessRequests = bound.accessRequests.map((asked) => ({
        ...asked,
        context: { ...asked.context, task: { id } },
      }))
      return { ...bound, accessRequests, task: { id, deadlineMs }, isKept: false }
    },
    completed: (id) => {
      const task = tasks.get(id)
      if (task === undefined) {
        const nowMs = clock.nowMs()
        tasks.set(id, { subject: '', beganMs: nowMs, endsMs: nowMs, completed: true })
        return
      }
      task.completed = true
      leave(id, task.subject)
    },
    peeking: (step) => {
      isPeeking = true
      try {
        return step()
      } finally {
        isPeeking = false
      }
    },
  }
}

const subjectOf = ({ subject }: Identity): string => JSON.stringify([subject.type, subject.id])

/** Finds out whose the task of a request is as soon as it is known who asks, so that binding need not wait. */
export const claimingTasks =
  (authenticate: Stages['authenticate'], tasks: Tasks): Stages['authenticate'] =>
  (request, route, signal) => {
    const identity = authenticate(request, route, signal)
    if (identity instanceof Promise)
      return identity.then((known) => claimedBy(known, request, route, tasks, signal))
    return claimedBy(identity, request, route, tasks, signal)
  }

const claimedBy = (
  known: Identity | Refusal,
  request: CanonicalRequest,
  route: Route,
  tasks: Tasks,
  signal: () => AbortSignal,
): Identity | Refusal | Promise<Identity | Refusal> => {
  const claimed = isRefusal(known) ? null : tasks.claim(request, route, known, signal)
  return claimed instanceof Promise ? claimed.then((refusal) => refusal ?? known) : (claimed ?? known)
}

const tooMany = (): Refusal => no('rate_limited', `the subject has ${MOST_PER_SUBJECT} tasks under way`)

const no = (code: RefusalCode, detail: string, publicDetail?: string): Refusal =>
  refuse('bind', code, detail, publicDetail === undefined ? {} : { publicDetail })
