import './v8-wasm-calls.ts'
import { parentPort, workerData } from 'node:worker_threads'
import type { Finding } from '../../../core/problem.ts'
import { type AsideMessage, type AsideTask, NEXT, type PackedPolicy } from './cedar-aside.ts'
import type { SourceFile } from './cedar-findings.ts'
import { type ReadSources, readAndValidate } from './cedar-load.ts'
import type { CedarPolicy } from './cedar-policies.ts'

/** Policies or entities in one message: what takes the other thread a few milliseconds. */
const AT_ONCE = 200

const buffered = ({ path, content }: SourceFile): SourceFile => ({ path, content: Buffer.from(content) })

const run = (): void => {
  const port = parentPort
  if (port === null) return
  // What `readAside` gives. A buffer arrives as the bytes that it is.
  const task = workerData as AsideTask
  const places = new Map([...task.policies, ...task.links].map(({ path }, index) => [path, index]))
  const pack = ({ text, piece, ...policy }: CedarPolicy): PackedPolicy => {
    return { ...policy, file: places.get(piece.file) ?? -1, start: piece.start, length: text.length }
  }
  const send = (message: AsideMessage): void => port.postMessage(message)
  const findings: Finding[] = []
  const sources = {
    policies: task.policies.map(buffered),
    links: task.links.map(buffered),
    entities: task.entities && buffered(task.entities),
    schema: task.schema,
  }
  const read = readAndValidate(sources, (finding) => findings.push(finding))
  const messages = messagesOf(findings, read, pack)
  const sendNext = (): void => {
    const next = messages.next()
    if (next.done !== true) send(next.value)
  }
  port.on('message', (message: typeof NEXT) => {
    if (message === NEXT) sendNext()
  })
  sendNext()
}

function* messagesOf(
  findings: readonly Finding[],
  read: ReadSources,
  pack: (policy: CedarPolicy) => PackedPolicy,
): Generator<AsideMessage> {
  yield { findings }
  const entities = [...read.entities]
  for (let sent = 0; sent < entities.length; sent += AT_ONCE) {
    yield { entities: entities.slice(sent, sent + AT_ONCE) }
  }
  const { policies } = read
  for (let sent = 0; ; sent += AT_ONCE) {
    const isLast = sent + AT_ONCE >= policies.length
    yield { policies: policies.slice(sent, sent + AT_ONCE).map(pack), isLast }
    if (isLast) return
  }
}

run()
