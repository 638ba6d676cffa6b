import './v8-wasm-calls.ts'
import { parentPort, workerData } from 'node:worker_threads'
import type { Finding } from '../../../core/problem.ts'
import { type AsideMessage, type AsideTask, NEXT, type PackedPolicy } from './cedar-aside.ts'
import type { SourceFile } from './cedar-findings.ts'
import { readAndValidate } from './cedar-load.ts'
import type { CedarPolicy } from './cedar-policies.ts'

/** Policies in one message: what takes the other thread a few milliseconds. */
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
  const sources = { ...task, policies: task.policies.map(buffered), links: task.links.map(buffered) }
  const policies = readAndValidate(sources, (finding) => findings.push(finding))
  send({ findings })
  let sent = 0
  port.on('message', (message: typeof NEXT) => {
    if (message !== NEXT) return
    const next = policies.slice(sent, sent + AT_ONCE)
    sent += next.length
    send({ policies: next.map(pack), isLast: sent === policies.length })
  })
}

run()
