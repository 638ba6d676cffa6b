import type { JsonObject } from '../../core/json.ts'
import type { DecisionRecord } from './decision-record.ts'

/** What of a record has a place of its own in an event. */
const PLACED: ReadonlySet<string> = new Set([
  ...['id', 'time', 'decision', 'code', 'source', 'reasons', 'errors', 'detail', 'advice', 'adminReason'],
  ...['subject', 'action', 'resource', 'context', 'evaluations', 'configVersion'],
  ...['latencyUs', 'writer'],
])

/**
 * A record in the shape of OPA's decision log, for collectors that take that.
 *
 * What that shape has no place for is below `sallyport`, so that nothing is lost. `writer` stays last, which a chain
 * goes on from.
 *
 * @see https://www.openpolicyagent.org/docs/management-decision-logs
 */
export const opaEvent = (record: DecisionRecord): JsonObject => {
  const { engine, policyVersion, request, route, traceparent, writer } = record
  const { decision, code, source, reasons, errors, detail, advice, adminReason } = record
  const { subject, action, resource, context, evaluations } = record
  const [, traceId, spanId] = traceparent?.split('-') ?? []
  const event = {
    labels: { app: 'sallyport', id: writer, config_version: record.configVersion },
    decision_id: record.id,
    trace_id: traceId,
    span_id: spanId,
    bundles: engine === undefined ? undefined : { [engine]: { revision: policyVersion ?? '' } },
    path: route === undefined ? 'sallyport' : `sallyport/${route}`,
    input: { subject, action, resource, context, evaluations },
    result: { decision: decision === 'allow', code, source, reasons, errors, detail, advice, adminReason },
    requested_by: request.ip,
    timestamp: record.time,
    metrics: Object.fromEntries(
      Object.entries(record.latencyUs).map(([stage, us]) => [`timer_sallyport_${stage}_ns`, us * 1000]),
    ),
    sallyport: Object.fromEntries(Object.entries(record).filter(([name]) => !PLACED.has(name))),
    writer,
  }
  // Undefined fields do not survive JSON.stringify; what is left is JSON.
  return event as unknown as JsonObject
}
